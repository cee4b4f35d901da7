"""`impute` and `outliers`: figures of the batch, known by hand, in the type of the column."""

from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from statistics import median
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import TableError
from lakeloop.ingestion.transforms import Conformed, Transform, conform
from lakeloop.quality.judgement import judge

MOMENT = datetime.fromisoformat("2026-02-01T10:00:00.000005")


def apply(frame: DataFrame, *declared: dict[str, Any]) -> Conformed:
    return conform(Conformed(frame), [Transform.model_validate(entry) for entry in declared])


def values(conformed: Conformed, column: str = "a") -> list[Any]:
    return [row[0] for row in conformed.frame.orderBy("n").select(f"`{column}`").collect()]


def column(spark: SparkSession, given: list[Any], sql_type: str) -> DataFrame:
    return spark.createDataFrame(list(enumerate(given)), f"n int, a {sql_type}").repartition(3)


@pytest.mark.parametrize(
    ("way", "sql_type", "given", "filled"),
    [
        ("mean", "int", [1, 2, None], 2),  # 1.5 is rounded half up
        ("mean", "int", [-1, -2, None], -2),
        ("mean", "bigint", [2**63 - 1, 2**63 - 1, None], 2**63 - 1),
        ("mean", "double", [0.5, 1.0, None, float("nan"), float("inf")], 0.75),
        ("mean", "decimal(5,2)", [Decimal("1.00"), Decimal("1.01"), None], Decimal("1.01")),
        ("median", "int", [9, 1, 3, None], 3),
        ("median", "int", [1, 2, None], 2),
        ("median", "double", [1.0, 4.0, 2.0, 100.0, None], 3.0),
        ("median", "bigint", [2**40, 2**40 + 2, None], 2**40 + 1),
        ("mode", "string", ["b", "a", "b", "a", "c", None], "a"),
        ("mode", "int", [10, 9, 9, 10, 1, None, None, None], 9),
        ("mode", "date", [date(2026, 2, 1), date(2026, 1, 1), date(2026, 2, 1), None], date(2026, 2, 1)),
        ("mode", "timestamp", [MOMENT, None], MOMENT),
        ("mode", "boolean", [True, False, None], False),
        ("mode", "double", [0.1, 0.1, 0.3, None], 0.1),
        ("mean", "int", [None, None], None),
        ("median", "double", [None, float("nan")], None),
        ("mode", "string", [None], None),
    ],
)
def test_gaps_are_filled_by_a_figure(
    spark: SparkSession, way: str, sql_type: str, given: list[Any], filled: Any
) -> None:
    rows = column(spark, given, sql_type)
    for how in (way, {way: {"by": ["g"]}}):
        conformed = apply(rows.withColumn("g", F.lit(None).cast("string")), {"impute": {"a": how}})
        assert conformed.frame.schema["a"].dataType == rows.schema["a"].dataType
        assert str(values(conformed)) == str([filled if value is None else value for value in given])


def test_all_figures_of_a_step_take_one_pass(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [(0, 1, 1.0, "x", "p"), (1, 3, None, "y", None), (2, None, 4.0, "y", "q"), (3, None, None, None, "q")],
        "n int, a int, b double, c string, d string",
    )
    read = spark.sparkContext.accumulator(0)

    def count(row: Any) -> Any:
        read.add(1)
        return row

    counted = spark.createDataFrame(rows.rdd.map(count), rows.schema)
    conformed = apply(counted, {"impute": {"a": "mean", "b": "median", "c": "mode", "d": "mode"}})
    assert read.value == 4
    assert [tuple(row)[1:5] for row in conformed.frame.orderBy("n").collect()] == [
        (1, 1.0, "x", "p"), (3, 2.5, "y", "q"), (2, 4.0, "y", "q"), (2, 2.5, "y", "q")
    ]  # fmt: skip


def test_bad_and_dropped_rows_have_no_part_in_figures(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [
            (0, 1, "1", "k"),
            (1, 3, "2", "l"),
            (2, None, "3", "m"),
            (3, 90, "bad", "o"),
            (4, 1, "1", "p"),
            (5, 70, "0", "p"),
        ],
        "n int, a int, t string, k string",
    )
    before = [{"cast": {"t": "int"}}, {"dedupe": {"keys": ["k"], "latest_by": "t"}}]
    for how in ("mean", {"mean": {"by": ["g"]}}):
        conformed = apply(rows.withColumn("g", F.lit(1)), *before, {"impute": {"a": how}})
        assert values(conformed) == [1, 3, 2, 90, 1, 70]  # (1 + 3 + 1) / 3 is nearest to 2


def test_a_group_has_its_own_figure(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [
            (0, "x", 1, "p"), (1, "x", 3, "q"), (2, "x", None, "q"), (3, "y", 10, "p"), (4, "y", None, None),
            (5, "z", None, None), (6, None, 5, "r"), (7, None, None, None),
        ],
        "n int, `g.` string, a int, c string",
    )  # fmt: skip
    conformed = apply(rows, {"impute": {"a": {"mean": {"by": ["g."]}}, "c": {"mode": {"by": ["g."]}}}})
    assert values(conformed) == [1, 3, 2, 10, 10, None, 5, 5]
    assert values(conformed, "c") == ["p", "q", "q", "p", "p", None, "r", "r"]


@pytest.mark.parametrize(
    ("sql_type", "way", "words"),
    [
        ("string", "mean", "impute: a is of type string, which has no mean; make it a number before"),
        ("date", "median", "impute: a is of type date, which has no median"),
        ("array<int>", "mode", "which has no mode; fill it by a constant"),
    ],
)
def test_a_figure_that_a_type_has_not_is_refused(spark: SparkSession, sql_type: str, way: str, words: str) -> None:
    with pytest.raises(TableError, match=words):
        apply(spark.createDataFrame([], f"n int, a {sql_type}"), {"impute": {"a": way}})


def test_the_last_value_is_carried_along_its_key(spark: SparkSession) -> None:
    rows = [
        (0, "x", 1, None), (1, "x", 2, 20), (2, "x", 3, None), (3, "y", 4, None), (4, "x", 9, 7), (5, "x", 10, None),
        (6, None, 11, None), (7, "x", None, None), (8, "x", None, 99), (9, None, 1, 55),
    ]  # fmt: skip
    frame = spark.createDataFrame(rows, "n int, k string, t int, a int").repartition(3)
    conformed = apply(frame, {"impute": {"a": {"forward_fill": {"by": ["k"], "order_by": "t"}}}})
    assert values(conformed) == [None, 20, 20, None, 7, 7, None, None, 99, 55]


def test_rows_of_one_moment_stand_in_the_order_of_the_source(spark: SparkSession) -> None:
    rows = [(0, 5, None, ("f", 3)), (1, 5, 2, ("f", 2)), (2, 5, 1, ("f", 1)), (3, 5, None, ("f", 10))]
    schema = "n int, t int, a int, _position struct<origin:string,record:bigint>"
    for order in (rows, rows[::-1]):
        frame = spark.createDataFrame(order, schema).withColumn("k", F.lit("k"))
        assert values(apply(frame, {"impute": {"a": {"forward_fill": {"by": ["k"], "order_by": "t"}}}})) == [2, 2, 1, 2]


NUMBERS = st.lists(st.none() | st.integers(-50, 50), min_size=1, max_size=25)


@settings(max_examples=8)
@given(given_=NUMBERS, way=st.sampled_from(["mean", "median", "mode", "forward_fill", "constant"]))
def test_what_is_there_is_never_changed(spark: SparkSession, given_: list[int | None], way: str) -> None:
    how: Any = {"forward_fill": {"by": ["k"], "order_by": "n"}, "constant": 3}.get(way, {})
    frame = column(spark, given_, "int").withColumn("k", F.lit("k"))
    filled = values(apply(frame, {"impute": {"a": {way: how}}}))
    assert [after for before, after in zip(given_, filled, strict=True) if before is not None] == [
        value for value in given_ if value is not None
    ]
    there = [value for value in given_ if value is not None]
    if way == "median" and there:
        middle = Decimal(median(map(Decimal, there)))
        assert set(filled) == {*there, *([int(middle.to_integral_value("ROUND_HALF_UP"))] if None in given_ else [])}
    if way == "mode" and there:
        most = max(Counter(there).values())
        assert set(filled) == {
            *there,
            *([min(v for v, c in Counter(there).items() if c == most)] if None in given_ else []),
        }


def outliers(spark: SparkSession, given: list[Any], sql_type: str, **how: Any) -> Conformed:
    return apply(column(spark, given, sql_type), {"outliers": {"a": {"limit": 1.5, "action": "flag", **how}}})


@pytest.mark.parametrize(
    ("given", "how", "found"),
    [
        # Quartiles of 1, 2, 3, 4, 100 are 2 and 4: [-1, 7]; the end itself is inside.
        ([1, 2, 3, 4, 100, None], {"method": "iqr"}, [100]),
        ([1, 2, 3, 4, 7], {"method": "iqr"}, []),
        ([1, 2, 3, 4, -2], {"method": "iqr", "limit": 0.5}, [-2]),
        # Median 3, distances 2, 1, 0, 1, 97: their median 1, so 3 ± 3 × 1.4826.
        ([1, 2, 3, 4, 100], {"method": "mad", "limit": 3}, [100]),
        ([1, 2, 3, 4, 7], {"method": "mad", "limit": 3}, []),
        # Mean 2 and standard deviation of the sample 4: beyond 2 ± 4.
        ([0, 0, 0, 0, 0, 0, 0, 16], {"method": "zscore", "limit": 2}, [16]),
        # No spread, no outlier.
        ([0, 0, 0, 0, 9], {"method": "iqr"}, []),
        ([0, 0, 0, 9], {"method": "mad"}, []),
        ([5, 5, 5], {"method": "zscore"}, []),
        ([5], {"method": "zscore"}, []),
        ([None], {"method": "mad"}, []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("sql_type", ["int", "double", "decimal(9,2)"])
def test_outliers_by_hand(spark: SparkSession, sql_type: str, given: list[Any], how: Any, found: list[int]) -> None:
    made = {"int": int, "double": float}.get(sql_type, Decimal)
    numbers = [value if value is None else made(value) for value in given]
    flags = values(outliers(spark, numbers, sql_type, **how), "a_is_outlier")
    assert [value for value, flag in zip(given, flags, strict=True) if flag] == found
    assert None not in flags


def test_nan_is_no_outlier_and_has_no_part_in_the_figures(spark: SparkSession) -> None:
    given = [1.0, 2.0, 3.0, 4.0, float("nan"), float("inf"), float("-inf"), None]
    assert values(outliers(spark, given, "double", method="iqr"), "a_is_outlier") == [
        False, False, False, False, False, True, True, False
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sql_type", "limit", "clipped"),
    [("int", 1.3, [0, 6]), ("double", 1.25, [-0.5, 6.5]), ("decimal(9,1)", 1.33, [Decimal("-0.6"), Decimal("6.6")])],
)
def test_a_clipped_value_is_no_outlier_of_the_same_bounds(
    spark: SparkSession, sql_type: str, limit: float, clipped: list[Any]
) -> None:
    """The quartiles are 2 and 4, so the bounds are 2 - 2 × limit and 4 + 2 × limit."""
    made = {"int": int, "double": float}.get(sql_type, Decimal)
    given = [made(value) for value in (2, 2, 2, 4, 4, 4, -9, 99)]
    conformed = outliers(spark, given, sql_type, method="iqr", limit=limit, action="clip")
    assert values(conformed)[:6] == given[:6]
    assert values(conformed)[6:] == clipped
    assert conformed.frame.schema["a"].dataType == column(spark, given, sql_type).schema["a"].dataType


def test_quarantine_keeps_the_value_and_says_the_bounds(spark: SparkSession) -> None:
    conformed = outliers(spark, [1, 2, 3, 4, 100, None], "int", method="iqr", action="quarantine")
    judged = judge(conformed.frame, conformed.findings).where("_verdict = 'quarantined'")
    assert [(row["a"], [tuple(reason) for reason in row["_reasons"]]) for row in judged.collect()] == [
        (100, [("a_is_outlier", "a: found 100, expected a number from -1 to 7, by the iqr of the batch")])
    ]


def test_outliers_need_numbers_and_room_for_their_flag(spark: SparkSession) -> None:
    with pytest.raises(TableError, match="outliers: a is of type string; make it a number before"):
        outliers(spark, ["x"], "string", method="iqr")
    rows = spark.createDataFrame([(1, True)], "a int, A_is_outlier boolean")
    with pytest.raises(TableError, match="outliers: there is a column 'a_is_outlier' already"):
        apply(rows, {"outliers": {"a": {"method": "iqr", "limit": 1, "action": "flag"}}})
