"""Changes into tables: deletes, truncates and what is in quarantine, as latest state and as history."""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakeloop.ingestion.change_publishing import publish_changes, state_before
from lakeloop.ingestion.changes import CHANGE_TYPE, columns_of, fill_kept, judged_where_said, source_columns
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.ingestion.transforms import Conformed, Transform
from lakeloop.lake.history import merge_history
from lakeloop.lake.ledger import Batch, Plan
from lakeloop.lake.merge import merge_latest
from lakeloop.lake.tables import Commit, Lake
from lakeloop.quality import Rule, compile_rules, judge

TABLE, HISTORY = "silver.t", "silver.h"
START = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
BRONZE = f"_batch_id bigint, _verdict string, _position struct<origin:string,record:bigint>, _change {CHANGE_TYPE}"
Change = tuple[str, int | None, int | None]  # operation, id, v; a v below 0 is in quarantine


def moment(number: int) -> dt.datetime:
    return START + dt.timedelta(seconds=number)


def spec_of(history: str | None = None) -> PipelineSpec:
    table = HISTORY if history else TABLE
    source = {"cdc": "crm", "table": "public.t", "slot": "s", "publication": "p"}
    sink = {"table": table, "mode": "merge", "keys": ["id"], "history": history}
    return PipelineSpec.model_validate({"pipeline": "t", "description": "T", "source": source, "sink": sink})


@dataclass
class Published:
    """A lake that takes batches of transactions, each at its second, into the tables of these pipelines."""

    lake: Lake
    specs: tuple[PipelineSpec, ...]
    writer: str = "w"
    batches: int = 0
    record: int = 0
    seconds: int = 0
    _schema: str = field(default=f"{BRONZE}, id int, v int")

    def take(self, *transactions: Sequence[Change], schema: str | None = None) -> None:
        rows, truncates = [], False
        for transaction in transactions:
            self.seconds += 1
            for sequence, (operation, key, *values) in enumerate(transaction):
                bad = bool(values) and values[0] is not None and values[0] < 0
                verdict = "quarantined" if bad else "good"
                change = (operation, self.seconds, sequence, moment(self.seconds))
                rows.append((self.batches, verdict, ("crm.public.t", self.record), change, key, *values))
                self.record += 1
                truncates = truncates or operation == "truncate"
        frame = self.lake.spark.createDataFrame(rows, schema or self._schema).coalesce(1)
        self.lake.write("bronze.t", frame, mode="append")
        self.publish(truncates=truncates)
        self.batches += 1

    def publish(self, *, truncates: bool = False) -> None:
        plan = Plan({"truncates": truncates}, "")
        for spec in self.specs:
            publish_changes(self.lake, spec, Batch(Commit(self.writer, self.batches, "run"), plan))

    def latest(self) -> list[tuple[Any, ...]]:
        return sorted(tuple(row) for row in self.lake.read(TABLE).select("id", "v").collect())

    def intervals(self) -> list[tuple[Any, ...]]:
        """(id, v, begin, end) in seconds, after checking that none overlaps and that the open ones are current."""
        rows = self.lake.read(HISTORY).orderBy("id", "effective_time").collect()
        for row, following in zip(rows, [*rows[1:], None], strict=True):
            assert row["is_current"] == (row["end_time"] is None)
            if following is not None and following["id"] == row["id"]:
                assert row["end_time"] <= following["effective_time"]
        return [(r["id"], r["v"], _seconds(r["effective_time"]), _seconds(r["end_time"])) for r in rows]


def _seconds(at: dt.datetime | None) -> int | None:
    return None if at is None else int((at.astimezone(dt.UTC) - START).total_seconds())


def test_the_last_change_of_a_key_wins_and_a_delete_deletes(lake: Lake) -> None:
    table = Published(lake, (spec_of(),))
    table.take([("snapshot", 1, 10), ("snapshot", 2, 20), ("snapshot", 3, None)])
    assert table.latest() == [(1, 10), (2, 20), (3, None)]
    table.take(
        [("update", 1, 11), ("update", 1, 12)],
        [("delete", 2, None), ("insert", 4, 40), ("delete", 4, None)],
        [("delete", 3, None), ("insert", 3, 33)],
        [("delete", 9, None)],
    )
    assert table.latest() == [(1, 12), (3, 33)]
    version = lake.version(TABLE)
    table.batches -= 1
    table.publish()
    assert lake.version(TABLE) == version


def test_a_truncate_takes_all_that_came_before_it(lake: Lake) -> None:
    table = Published(lake, (spec_of(),))
    table.take([("snapshot", 1, 10), ("snapshot", 2, 20)])
    table.take(
        [("update", 1, 11), ("insert", 3, 30)], [("truncate", None, None), ("insert", 2, 22)], [("insert", 4, 4)]
    )
    assert table.latest() == [(2, 22), (4, 4)]
    table.take([("truncate", None, None)])
    assert table.latest() == []


def test_a_change_in_quarantine_takes_its_key_out_until_a_good_one_comes(lake: Lake) -> None:
    table = Published(lake, (spec_of(),))
    table.take([("snapshot", 1, 10), ("snapshot", 2, 20), ("snapshot", 3, -3)])
    assert table.latest() == [(1, 10), (2, 20)]
    table.take([("update", 1, -1)], [("update", 2, -2)], [("update", 2, 22)], [("insert", None, -4)])
    assert table.latest() == [(2, 22)]
    table.take([("update", 1, 12)], [("delete", 3, None)])
    assert table.latest() == [(1, 12), (2, 22)]


def test_a_new_column_comes_with_a_change(lake: Lake) -> None:
    table = Published(lake, (spec_of(),))
    table.take([("snapshot", 1, 10), ("snapshot", 2, 20)])
    table.take([("update", 1, 11, "x"), ("delete", 2, None, None)], schema=f"{BRONZE}, id int, v int, w string")  # type: ignore[arg-type]  # one more column
    assert [tuple(row) for row in lake.read(TABLE).select("id", "v", "w").collect()] == [(1, 11, "x")]


def test_history_ends_where_a_row_went_and_begins_where_it_came_back(lake: Lake) -> None:
    table = Published(lake, (spec_of("scd2"),))
    table.take([("snapshot", 1, 10), ("snapshot", 2, 20), ("snapshot", 3, 30)])  # second 1
    table.take([("update", 1, 11)], [("update", 1, 12)], [("delete", 2, None)], [("update", 3, -1)])  # 2 to 5
    assert table.intervals() == [(1, 10, 1, 2), (1, 11, 2, 3), (1, 12, 3, None), (2, 20, 1, 4), (3, 30, 1, 5)]
    table.take([("insert", 2, 20)], [("update", 3, 30)], [("update", 1, 12)])  # 6 to 8
    assert table.intervals() == [
        (1, 10, 1, 2), (1, 11, 2, 3), (1, 12, 3, None), (2, 20, 1, 4), (2, 20, 6, None), (3, 30, 1, 5),
        (3, 30, 7, None),
    ]  # fmt: skip
    table.take([("delete", 1, None), ("insert", 1, 12)], [("truncate", None, None), ("insert", 3, 30)])  # 9 and 10
    assert table.intervals() == [
        (1, 10, 1, 2), (1, 11, 2, 3), (1, 12, 3, 10), (2, 20, 1, 4), (2, 20, 6, 10), (3, 30, 1, 5), (3, 30, 7, None),
    ]  # fmt: skip


def test_deleting_merges_are_of_use_without_changes(lake: Lake) -> None:
    """The functions below know keys, a sequence and a mark of deletion, and nothing of where these come from."""
    schema, commit = "k string, at int, v string, gone boolean", Commit("w", 0, "run")
    rows = lake.spark.createDataFrame([("a", 5, "x", False), ("b", 5, None, True), ("c", 5, None, False)], schema)
    merge_latest(lake, "silver.l", rows, keys=["k"], sequence_by="at", commit=commit, deleted="gone")
    rows = lake.spark.createDataFrame([("a", 4, None, True), ("c", 6, None, True), ("d", 1, "y", True)], schema)
    merge_latest(lake, "silver.l", rows, keys=["k"], sequence_by="at", commit=Commit("w", 1, "r"), deleted="gone")
    assert [tuple(row) for row in lake.read("silver.l").collect()] == [("a", 5, "x")]
    rows = lake.spark.createDataFrame([("a", 1, "x", False), ("a", 5, "y", False), ("b", 1, "z", False)], schema)
    merge_history(lake, "silver.h", rows, keys=["k"], sequence_by="at", commit=commit, deleted="gone")
    rows = lake.spark.createDataFrame([("a", 3, None, True), ("b", 2, None, True), ("b", 2, None, True)], schema)
    rows = rows.distinct()
    merge_history(lake, "silver.h", rows, keys=["k"], sequence_by="at", commit=Commit("w", 1, "r"), deleted="gone")
    found = lake.read("silver.h").orderBy("k", "at").select("k", "v", "effective_time", "end_time").collect()
    assert [tuple(row) for row in found] == [("a", "x", 1, 3), ("a", "y", 5, None), ("b", "z", 1, 2)]


OPERATIONS = st.one_of(
    st.tuples(st.sampled_from(["put", "put", "put", "drop"]), st.integers(1, 4), st.integers(-1, 3)),
    st.tuples(st.just("move"), st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.just("empty"), st.just(0), st.just(0)),
)
TRANSACTIONS = st.lists(st.lists(OPERATIONS, min_size=1, max_size=4), min_size=4, max_size=12)


def changes_of(source: dict[int, int], operations: Sequence[tuple[str, int, int]]) -> list[Change]:
    """What a database would say of a transaction, which is applied to `source` beside it."""
    said: list[Change] = []
    for what, key, value in operations:
        if what == "put":
            said.append(("update" if key in source else "insert", key, value))
            source[key] = value
        elif what == "drop" and key in source:
            said.append(("delete", key, None))
            del source[key]
        elif what == "move" and key in source and value not in source:
            said += [("delete", key, None), ("insert", value, source[key])]
            source[value] = source.pop(key)
        elif what == "empty":
            said.append(("truncate", None, None))
            source.clear()
    return said


@pytest.mark.slow
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(TRANSACTIONS, st.lists(st.integers(2, 6), min_size=7, max_size=7))
def test_tables_equal_their_source_however_the_batches_are_cut(
    lake: Lake, operations: list[list[tuple[str, int, int]]], cuts: list[int]
) -> None:
    source: dict[int, int] = {}
    transactions = [[("snapshot", 0, 0)], *(changes_of(source, each) for each in operations)]
    source.setdefault(0, 0)
    if any(change[0] == "truncate" for transaction in transactions for change in transaction):
        source.pop(0, None)
    table = Published(Lake(lake.spark, f"{lake.root}/{uuid.uuid4().hex}"), (spec_of(), spec_of("scd2")))
    model = intervals_of(transactions)
    rest, sizes = transactions, iter(cuts)
    while rest:
        size = next(sizes)
        table.take(*rest[:size])
        rest = rest[size:]
    good = sorted((key, value) for key, value in source.items() if value >= 0)
    assert table.latest() == good
    assert table.intervals() == model
    assert [(key, value) for key, value, _, end in model if end is None] == good


def intervals_of(transactions: Sequence[Sequence[Change]]) -> list[tuple[int, int, int, int | None]]:
    """Every good value of a key with the seconds in which it held, by playing the transactions one after the other."""
    state: dict[int, int] = {}
    since: dict[int, int] = {}
    found: list[tuple[int, int, int, int | None]] = []
    for second, transaction in enumerate(transactions, start=1):
        before = dict(state)
        for operation, key, value in transaction:
            if operation == "truncate":
                state.clear()
            elif operation == "delete" or (value is not None and value < 0):
                state.pop(key or 0, None)
            else:
                assert value is not None
                state[key or 0] = value
        for key, value in before.items():
            if state.get(key) != value:
                found.append((key, value, since.pop(key), second))
        since |= {key: second for key, value in state.items() if before.get(key) != value}
    found += [(key, value, since[key], None) for key, value in state.items()]
    return sorted(found, key=lambda each: (each[0], each[2]))


def test_values_that_did_not_travel_come_from_the_batch_the_sink_or_the_quarantine(lake: Lake) -> None:
    schema = f"_batch_id bigint, _verdict string, _position struct<origin:string,record:bigint>, _change {CHANGE_TYPE}"
    bronze = [
        (0, "good", ("o", 0), ("snapshot", 1, 0, START), 1, "one", 1),
        (0, "good", ("o", 1), ("snapshot", 1, 1, START), 2, None, 2),
        (1, "quarantined", ("o", 2), ("update", 2, 0, START), 3, "old", -1),
        (1, "quarantined", ("o", 3), ("update", 2, 1, START), 3, "three", -1),
        (2, "quarantined", ("o", 4), ("update", 2, 1, START), 3, "of this batch", -1),
    ]  # fmt: skip
    columns = "id int, text string, v int"
    lake.write("bronze.t", lake.spark.createDataFrame(bronze, f"{schema}, {columns}"), mode="append")
    lake.write(TABLE, lake.spark.createDataFrame([(1, "one", 1), (2, None, 2)], columns), mode="append")
    batch = [
        ("update", 10, 1, ["big"], "l1", "?", 5), ("delete", 11, 1, [], "l1", None, None),
        ("insert", 12, 8, ["big"], "l1", "?", 6), ("update", 13, 2, ["big"], "l2", "?", 7),
        ("update", 14, 3, ["big"], "l3", "?", 8), ("update", 15, 4, ["big"], "l4", "?", 9),
        ("insert", 16, 5, [], "l5", "five", 1), ("update", 17, 5, ["big"], "l5", "?", 2),
        ("update", 18, 5, [], "l5", "six", 3), ("update", 19, 5, ["big"], "l5", "?", 4),
    ]  # fmt: skip
    rows = [
        (("o", record), (operation, 1, 0, START), kept, line, key, text, v)
        for operation, record, key, kept, line, text, v in batch
    ]
    own = f"_position struct<origin:string,record:bigint>, _change {CHANGE_TYPE}, _kept array<string>, _line string"
    frame = lake.spark.createDataFrame(rows, f"{own}, {columns}")
    renamed = [Transform.model_validate({"rename": {"big": "text"}})]
    filled = fill_kept(Conformed(frame), ["big"], renamed, ["id"], state_before(lake, spec_of(), 2))
    found = judge(filled.frame, filled.findings).orderBy("_position.record").collect()
    assert [(row["id"], row["text"], row["_verdict"]) for row in found] == [
        (1, "one", "good"), (1, None, "good"), (8, "one", "good"), (2, None, "good"), (3, "three", "good"),
        (4, None, "quarantined"), (5, "five", "good"), (5, "five", "good"), (5, "six", "good"), (5, "six", "good"),
    ]  # fmt: skip
    assert [reason["rule"] for row in found if row["_reasons"] for reason in row["_reasons"]] == ["text_unknown"]


def test_a_delete_is_judged_by_its_key_and_a_truncate_by_nothing(lake: Lake) -> None:
    rows = [
        (("update", 1, 0, START), 1, None), (("delete", 1, 0, START), 2, None), (("delete", 1, 0, START), None, None),
        (("truncate", 1, 0, START), None, None), (("insert", 1, 0, START), 3, "x"),
    ]  # fmt: skip
    frame = lake.spark.createDataFrame(rows, f"_change {CHANGE_TYPE}, id int, v string")
    rules = [Rule.model_validate({"is_not_null": name}) for name in ("id", "v")]
    compiled = compile_rules(frame, rules, read_table=lake.read)
    checked, findings = compiled.frame, compiled.findings
    judged = judge(checked, judged_where_said(findings, ["id"])).collect()
    assert [row["_verdict"] for row in judged] == ["quarantined", "good", "quarantined", "good", "good"]


def test_columns_are_followed_through_the_transforms() -> None:
    declared: list[dict[str, object]] = [
        {"rename": {"a": "b", "b": "a"}},
        {"split": {"b": {"separator": ",", "into": ["c", "d"]}}},
        {"rename": {"c": "e"}},
    ]
    steps = [Transform.model_validate(step) for step in declared]
    assert columns_of("a", steps) == {"b", "e", "d"}
    assert columns_of("b", steps) == {"a"}
    assert source_columns(["b", "a", "new"], steps) == ("a", "b", "new")
