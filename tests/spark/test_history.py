import random
import uuid
from collections.abc import Sequence

from chispa import assert_df_equality
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakeloop.lake.history import VERSION_COLUMNS, merge_history
from lakeloop.lake.tables import Commit, Lake

TABLE = "silver.things"
SCHEMA = "k string, at int, v string"
HISTORY = f"{SCHEMA}, is_current boolean, effective_time int, end_time int"
Version = tuple[object, ...]


def merge(lake: Lake, batch_id: int, rows: Sequence[Version], schema: str = SCHEMA, table: str = TABLE) -> None:
    frame = lake.spark.createDataFrame(rows, schema).coalesce(1)
    merge_history(lake, table, frame, keys=["k"], sequence_by="at", commit=Commit("w", batch_id, "run"))


def intervals(lake: Lake, table: str = TABLE) -> list[tuple[object, ...]]:
    """(key, value, effective_time, end_time) in order, after checking what every row of a history must satisfy."""
    rows = lake.read(table).orderBy("k", "effective_time").collect()
    for row in rows:
        assert row["at"] == row["effective_time"]
        assert row["is_current"] == (row["end_time"] is None)
    return [(row["k"], row["v"], row["effective_time"], row["end_time"]) for row in rows]


def test_the_first_batch_may_hold_several_versions(lake: Lake) -> None:
    merge(lake, 0, [("a", 3, "y"), ("a", 1, "x"), ("a", 2, "x"), ("b", 1, None), ("b", 2, None), ("a", 4, "x")])
    expected = [
        ("a", 1, "x", False, 1, 3),
        ("a", 3, "y", False, 3, 4),
        ("a", 4, "x", True, 4, None),
        ("b", 1, None, True, 1, None),
    ]
    found = lake.read(TABLE)
    assert set(found.columns) == {"k", "at", "v", *VERSION_COLUMNS}
    assert_df_equality(
        found.select("k", "at", "v", *VERSION_COLUMNS),
        lake.spark.createDataFrame(expected, HISTORY),
        ignore_row_order=True,
        ignore_nullable=True,
    )


def test_a_change_closes_the_version_before_it_and_nothing_else_does(lake: Lake) -> None:
    merge(
        lake, 0, [(key, 1, value) for key, value in [("changes", "x"), ("same", "x"), ("null", None), ("alone", "x")]]
    )
    merge(
        lake,
        1,
        [
            ("changes", 2, "y"),
            ("same", 2, "x"),
            ("null", 2, None),
            ("null", 3, "x"),
            ("new", 2, "x"),
            ("alone", 1, "x"),
        ],
    )
    assert intervals(lake) == [
        ("alone", "x", 1, None),
        ("changes", "x", 1, 2),
        ("changes", "y", 2, None),
        ("new", "x", 2, None),
        ("null", None, 1, 3),
        ("null", "x", 3, None),
        ("same", "x", 1, None),
    ]


def test_a_late_version_cuts_the_interval_it_falls_into(lake: Lake) -> None:
    merge(lake, 0, [("a", 1, "x"), ("a", 5, "y"), ("b", 5, "y"), ("c", 1, "x"), ("c", 5, "y")])
    merge(lake, 1, [("a", 3, "z"), ("b", 2, "x"), ("c", 3, "x")])
    assert intervals(lake) == [
        ("a", "x", 1, 3),
        ("a", "z", 3, 5),
        ("a", "y", 5, None),
        ("b", "x", 2, 5),
        ("b", "y", 5, None),
        ("c", "x", 1, 5),
        ("c", "y", 5, None),
    ]


def test_a_repeated_batch_changes_nothing(lake: Lake) -> None:
    rows = [("a", 1, "x"), ("a", 2, "x"), ("a", 3, "y"), ("b", 1, "x")]
    merge(lake, 0, rows)
    first = intervals(lake)
    merge(lake, 0, [("z", 1, "z")])
    assert lake.version(TABLE) == 0
    merge(lake, 1, rows)
    assert intervals(lake) == first
    merge(lake, 2, [("a", 9, "z")])
    second, version = intervals(lake), lake.version(TABLE)
    merge(lake, 2, [("a", 9, "other"), ("a", 10, "other")])
    assert lake.version(TABLE) == version
    merge(lake, 3, rows)
    assert intervals(lake) == second


def test_a_version_whose_time_is_stored_already_is_ignored(lake: Lake) -> None:
    merge(lake, 0, [("a", 1, "x")])
    merge(lake, 1, [("a", 1, "corrected")])
    assert intervals(lake) == [("a", "x", 1, None)]


def test_a_new_column_is_null_before_and_opens_a_version_only_with_a_value(lake: Lake) -> None:
    merge(lake, 0, [("a", 1, "x"), ("b", 1, "x")])
    merge(lake, 1, [("a", 2, "x", None), ("b", 2, "x", 7)], f"{SCHEMA}, `n.m` int")
    assert intervals(lake) == [("a", "x", 1, None), ("b", "x", 1, 2), ("b", "x", 2, None)]
    rows = lake.read(TABLE).orderBy("k", "at").collect()
    assert [row["n.m"] for row in rows] == [None, None, 7]
    merge(lake, 2, [("a", 3, "y"), ("b", 3, "x")])  # the column stays away again: it is not compared
    assert intervals(lake) == [("a", "x", 1, 3), ("a", "y", 3, None), ("b", "x", 1, 2), ("b", "x", 2, None)]


def test_a_history_of_keys_alone_has_one_version(lake: Lake) -> None:
    for batch_id, at in enumerate((1, 2)):
        frame = lake.spark.createDataFrame([("a", 1, at)], "k string, l int, at int")
        merge_history(lake, TABLE, frame, keys=["k", "l"], sequence_by="at", commit=Commit("w", batch_id, "run"))
    assert [tuple(row) for row in lake.read(TABLE).select("k", "l", "at", "end_time").collect()] == [("a", 1, 1, None)]


def expected_intervals(histories: Sequence[Sequence[str | None]]) -> list[tuple[object, ...]]:
    """The definition in plain Python: version i of a key has the time i."""
    found: list[tuple[object, ...]] = []
    for number, values in enumerate(histories):
        opened = [at for at, value in enumerate(values) if at == 0 or value != values[at - 1]]
        for at, end in zip(opened, [*opened[1:], None], strict=True):
            found.append((f"{number:03}", values[at], at, end))
    return found


@settings(
    max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # every example has its own table
@given(
    histories=st.lists(st.lists(st.sampled_from([None, "x", "y"]), min_size=1, max_size=8), min_size=20, max_size=40),
    randomness=st.randoms(use_true_random=False),
)
def test_however_it_is_cut_into_batches_a_history_ends_the_same(
    lake: Lake, histories: list[list[str | None]], randomness: random.Random
) -> None:
    """Each key has its own history and its own cuts, so that one example of three batches tries dozens of cuttings."""
    table = f"silver.t{uuid.uuid4().hex}"
    batches: list[list[Version]] = [[], [], []]
    for number, values in enumerate(histories):
        cuts = sorted(randomness.choices(range(3), k=len(values)))
        for at, (cut, value) in enumerate(zip(cuts, values, strict=True)):
            batches[cut].append((f"{number:03}", at, value))
    for batch_id, rows in enumerate(batches):
        randomness.shuffle(rows)
        merge(lake, batch_id, rows, table=table)
    assert intervals(lake, table) == expected_intervals(histories)
