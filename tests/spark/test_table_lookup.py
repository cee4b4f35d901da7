"""Look-ups in tables: which row matches, that none is multiplied, and what is refused."""

import datetime as dt
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame

from lakeloop.core.errors import TableError
from lakeloop.ingestion.enrichment.enriching import enrich
from lakeloop.ingestion.enrichment.outcomes import MatchCount, match_counts, measures
from lakeloop.ingestion.enrichment.spec import Enrichment
from lakeloop.ingestion.transforms import Conformed
from lakeloop.lake.history import merge_history
from lakeloop.lake.tables import Commit, Lake
from lakeloop.quality import Finding, judge
from lakeloop.quality.row_rules.columns import value_of

PLANS = "plan_id string, name string, monthly_fee int"


def lookup(**declared: Any) -> Enrichment:
    plans = {"table": "silver.plans", "on": {"plan": "plan_id"}, "columns": {"plan_name": "name", "fee": "monthly_fee"}}
    return Enrichment.model_validate({"lookup": plans | declared})


def write(lake: Lake, rows: Sequence[tuple[Any, ...]], schema: str = PLANS, table: str = "silver.plans") -> None:
    lake.write(table, lake.spark.createDataFrame(list(rows), schema).coalesce(1), mode="overwrite")


def enriched(lake: Lake, frame: DataFrame, *declared: Enrichment, findings: tuple[Finding, ...] = ()) -> Conformed:
    rows = Conformed(frame, findings)
    return enrich(rows, rows, declared, lake=lake, services={}, known=None).rows


def looked_up(lake: Lake, frame: DataFrame, *declared: Enrichment) -> list[tuple[Any, ...]]:
    """Every row after the look-up, with its outcome, sorted as text."""
    return sorted((tuple(row) for row in enriched(lake, frame, *declared).frame.collect()), key=str)


def counts(rows: Conformed, *declared: Enrichment) -> tuple[MatchCount, ...]:
    numbers = rows.frame.agg(*measures(declared)).first()
    assert numbers is not None
    return match_counts(declared, numbers.asDict(recursive=True))


def test_the_present_row_of_each_key_is_found_and_a_null_matches_nothing(lake: Lake) -> None:
    write(lake, [("p1", "Basic", 10), ("p2", "Plus", None), (None, "Nobody's", 0), (None, "Nobody's", 0)])
    orders = lake.spark.createDataFrame([(1, "p1"), (1, "p1"), (2, "p2"), (3, "p9"), (4, None)], "id int, plan string")
    assert looked_up(lake, orders, lookup()) == [
        (1, "p1", "Basic", 10, "matched"),
        (1, "p1", "Basic", 10, "matched"),
        (2, "p2", "Plus", None, "matched"),
        (3, "p9", None, None, "missing"),
        (4, None, None, None, "missing"),
    ]


@pytest.mark.parametrize(("missing", "verdicts"), [(None, "ggg"), ("warn", "ggg"), ("quarantine", "gqq")])
def test_what_becomes_of_a_row_without_a_match_is_declared(lake: Lake, missing: str | None, verdicts: str) -> None:
    write(lake, [("p1", "Basic", 10)])
    orders = lake.spark.createDataFrame([(1, "p1"), (2, "p9"), (3, None)], "id int, plan string")
    declared = lookup(missing=missing)
    rows = enriched(lake, orders, declared)
    found = judge(rows.frame, rows.findings).orderBy("id").collect()
    assert "".join(row["_verdict"][0] for row in found) == verdicts
    messages = [
        "plan: found p9, expected a row of silver.plans",
        "plan: found NULL, expected a row of silver.plans",
    ]
    expected = [None, *([[("plans_matches", message)] for message in messages] if missing else [None, None])]
    assert [row["_reasons"] and [tuple(reason) for reason in row["_reasons"]] for row in found] == expected
    assert counts(rows, declared) == (MatchCount("plans", {"matched": 1, "stale": 0, "missing": 2, "fell_back": 0}),)


def test_a_key_that_is_known_to_be_wrong_and_a_dropped_row_do_not_ask(lake: Lake) -> None:
    write(lake, [("p1", "Basic", 10)])
    schema = "id int, plan string, _uncast string, _dropped boolean"
    rows = [(1, "p1", None, False), (2, None, "??", False), (3, "p9", None, True)]
    wrong = Finding("plan_is_castable", value_of("_uncast"), columns=("plan",), blocking=True)
    declared = lookup(missing="quarantine")
    found = enriched(lake, lake.spark.createDataFrame(rows, schema), declared, findings=(wrong,))
    assert [row["_lookup_plans"] for row in found.frame.orderBy("id").collect()] == ["matched", None, None]
    assert counts(found, declared)[0].asked == 1
    judged = judge(found.frame, found.findings, dropped=found.frame["_dropped"]).orderBy("id").collect()
    assert [[reason["rule"] for reason in row["_reasons"] or []] for row in judged] == [
        [], ["plan_is_castable"], ["dedupe"]
    ]  # fmt: skip


def test_a_key_that_stands_twice_is_refused_however_the_batch_looks(lake: Lake) -> None:
    write(lake, [("p1", "Basic", 10), ("p2", "Plus", 20), ("p2", "Plus", 20), ("p3", "Pro", 1), ("p3", "Pro", 2)])
    orders = lake.spark.createDataFrame([("p1",)], "plan string")
    with pytest.raises(
        TableError,
        match=r"lookup plans: 2 values of plan_id stand several times in silver\.plans version 0, as 'p2' in 2 rows",
    ):
        enriched(lake, orders, lookup())
    both = lookup(on={"plan": "plan_id", "at": "monthly_fee"}, columns={"plan_name": "name"})
    write(lake, [("p3", "Pro", 1), ("p3", "Pro+", 2)])
    priced = lake.spark.createDataFrame([("p3", 2), ("p3", None)], "plan string, at int")
    assert looked_up(lake, priced, both) == [("p3", 2, "Pro+", "matched"), ("p3", None, None, "missing")]


def history(lake: Lake, *versions: tuple[str, int, str]) -> None:
    frame = lake.spark.createDataFrame(list(versions), "plan_id string, at int, name string")
    merge_history(lake, "silver.plans", frame, keys=["plan_id"], sequence_by="at", commit=Commit("w", 0, "run"))


AS_OF = {"columns": {"plan_name": "name"}, "as_of": {"event_time": "at"}}


def test_intervals_are_half_open_to_the_exact_moment(lake: Lake) -> None:
    history(lake, ("p1", 10, "old"), ("p1", 20, "new"), ("p2", 10, "alone"))
    events = [("p1", at) for at in (9, 10, 11, 19, 20, 21, 2_000_000_000, None, 10)] + [("p2", 10), (None, 10)]
    frame = lake.spark.createDataFrame(events, "plan string, at int")
    assert looked_up(lake, frame, lookup(**AS_OF)) == sorted(
        [
            ("p1", 9, None, "missing"),
            ("p1", 10, "old", "matched"),
            ("p1", 10, "old", "matched"),
            ("p1", 11, "old", "matched"),
            ("p1", 19, "old", "matched"),
            ("p1", 20, "new", "matched"),
            ("p1", 21, "new", "matched"),
            ("p1", 2_000_000_000, "new", "matched"),
            ("p1", None, None, "missing"),
            ("p2", 10, "alone", "matched"),
            (None, 10, None, "missing"),
        ],
        key=str,
    )
    current = frame.where("at = 10").distinct()
    assert looked_up(lake, current, lookup(columns={"plan_name": "name"})) == [
        ("p1", 10, "new", "matched"), ("p2", 10, "alone", "matched"), (None, 10, None, "missing")
    ]  # fmt: skip


def test_a_gap_between_intervals_matches_nothing_and_an_overlap_takes_the_later(lake: Lake) -> None:
    schema = "plan_id string, name string, is_current boolean, effective_time date, end_time date"
    day = {n: dt.date(2026, 1, n) for n in (1, 5, 7, 10)}
    write(
        lake,
        [
            ("p", "a", False, day[1], day[10]),
            ("p", "b", False, day[5], day[7]),
            ("p", "c", True, dt.date(2026, 2, 1), None),
        ],
        schema,
    )
    moments = ["2026-01-04 23:59:59", "2026-01-05", "2026-01-07", "2026-01-10", "2026-02-01"]
    events = lake.spark.createDataFrame([("p", at) for at in moments], "plan string, at string")
    events = events.withColumn("at", events["at"].cast("timestamp"))
    found = enriched(lake, events, lookup(**AS_OF)).frame.orderBy("at").collect()
    assert [row["plan_name"] for row in found] == ["a", "b", "a", None, "c"]


def test_without_intervals_the_latest_row_at_or_before_the_event_is_taken(lake: Lake) -> None:
    versions = [
        ("p", "first", 1, 10),
        ("p", "tie", 2, 20),
        ("p", "tie", 3, 20),
        ("p", None, 9, 20),
        ("p", "never", 0, None),
    ]
    write(lake, versions, f"{PLANS}, valid_from int")
    declared = lookup(as_of={"event_time": "at", "time": "valid_from"})
    events = lake.spark.createDataFrame([("p", 9), ("p", 10), ("p", 19), ("p", 20), ("p", 99)], "plan string, at int")
    assert looked_up(lake, events, declared) == [
        ("p", 10, "first", 1, "matched"),
        ("p", 19, "first", 1, "matched"),
        ("p", 20, "tie", 3, "matched"),
        ("p", 9, None, None, "missing"),
        ("p", 99, "tie", 3, "matched"),
    ]


KEYS = ["a", "b", "c", "d", "e", "f", None]
TIMES = [*range(8), None]
Event = tuple[str | None, int | None]


def by_hand(event: Event, versions: Sequence[tuple[Any, ...]], *, has_ends: bool) -> Any:
    """The value, or `...` where nothing matches: every version is looked at for every event."""
    key, at = event
    holding = [
        (start, value is not None, value or "")
        for its_key, start, end, value in versions
        if key is not None and key == its_key and at is not None and start is not None and start <= at
        and (not has_ends or end is None or at < end)
    ]  # fmt: skip
    return (max(holding)[2] or None) if holding else ...


@pytest.mark.slow
@settings(max_examples=4, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(), st.booleans())
def test_an_as_of_look_up_equals_the_search_by_hand(lake: Lake, seed: int, has_ends: bool) -> None:
    drawn = random.Random(seed)
    times = [(drawn.choice(TIMES), drawn.choice(TIMES)) for _ in range(60)]
    versions = [(drawn.choice(KEYS), start, end, drawn.choice(["x", "y", None])) for start, end in times]
    events: list[Event] = [(drawn.choice(KEYS), drawn.choice(TIMES)) for _ in range(120)]
    rows = [(key, start, end, value, end is None) for key, start, end, value in versions]
    schema = "plan_id string, effective_time int, end_time int, name string, is_current boolean"
    write(lake, rows, schema)
    declared = lookup(
        columns={"plan_name": "name"}, as_of={"event_time": "at"} | ({} if has_ends else {"time": "effective_time"})
    )
    expected = []
    for event in events:
        value = by_hand(event, versions, has_ends=has_ends)
        expected.append((*event, None, "missing") if value is ... else (*event, value, "matched"))
    frame = lake.spark.createDataFrame(events, "plan string, at int")
    assert looked_up(lake, frame, declared) == sorted(expected, key=str)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"table": "silver.none"}, r"the table silver\.none does not exist"),
        ({"on": {"plan": "plan"}}, r"lookup plans: no column 'plan' in silver\.plans; did you mean 'plan_id'"),
        ({"columns": {"n": "nam"}}, "no column 'nam'.*did you mean 'name'"),
        ({"on": {"plam": "plan_id"}}, "lookup plans: no column 'plam'.*did you mean 'plan'"),
        (
            {"on": {"id": "plan_id"}},
            r"id is of type int, but plan_id of silver\.plans of type string; add .*cast: {id: string}",
        ),
        ({"columns": {"Plan": "name"}}, "the rows have a column Plan already"),
        ({"as_of": {"event_time": "id"}}, r"silver\.plans is no SCD2 table \(it lacks is_current"),
        ({"as_of": {"event_time": "plan", "time": "monthly_fee"}}, "plan is of type string, but monthly_fee"),
        ({"as_of": {"event_time": "id", "time": "since"}}, "no column 'since'"),
        ({"columns": {"t": "tags"}, "as_of": {"event_time": "id", "time": "monthly_fee"}}, "tags is a map"),
    ],
)
def test_a_look_up_that_does_not_fit_is_refused_in_words(lake: Lake, declared: dict[str, Any], said: str) -> None:
    write(lake, [("p1", "Basic", 10, {"a": "b"})], f"{PLANS}, tags map<string,string>")
    with pytest.raises(TableError, match=said):
        enriched(lake, lake.spark.createDataFrame([(1, "p1")], "id int, plan string"), lookup(**declared))


def test_one_look_up_may_build_on_another(lake: Lake) -> None:
    write(lake, [("p1", "Basic", 10)])
    write(lake, [("Basic", "Low cost")], "name string, segment string", "silver.segments")
    segments = Enrichment.model_validate(
        {"lookup": {"table": "silver.segments", "on": {"plan_name": "name"}, "columns": {"segment": "segment"}}}
    )
    orders = lake.spark.createDataFrame([("p1",), ("p2",)], "plan string")
    found = enriched(lake, orders, lookup(), segments).frame.orderBy("plan").collect()
    assert [(row["segment"], row["_lookup_plans"], row["_lookup_segments"]) for row in found] == [
        ("Low cost", "matched", "matched"), (None, "missing", "missing")
    ]  # fmt: skip
