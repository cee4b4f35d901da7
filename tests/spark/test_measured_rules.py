"""Measured rules over literal frames: what each comes to, at its bounds, without rows, and in its words."""

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from lakeloop.core.errors import TableError
from lakeloop.quality import Rule, RuleResult, check_rules
from lakeloop.quality.checks import Checked

Found = dict[str, tuple[float | None, str | None]]


def checked(frame: DataFrame, declared: Sequence[dict[str, Any]], **more: Any) -> Checked:
    """The rules are called by their place, so that one aggregate answers many of a kind."""
    rules = []
    for at, ((kind, given),) in enumerate(each.items() for each in declared):
        rules.append(Rule.model_validate({kind: {**given, "name": str(at)}}))
    return check_rules(frame, rules, **more)


def told(frame: DataFrame, declared: Sequence[dict[str, Any]], **more: Any) -> list[tuple[float | None, str | None]]:
    """Value and sentence of each rule, in their order."""
    return [(each.value, each.message) for each in checked(frame, declared, **more).results]


def sentences(frame: DataFrame, declared: Sequence[dict[str, Any]], **more: Any) -> list[str | None]:
    return [message for _, message in told(frame, declared, **more)]


@pytest.fixture(scope="module")
def frame(spark: SparkSession) -> DataFrame:
    """Eight rows. Numbers `x`: 1, 2, 2, 3, 4 beside NULL, NaN and NULL; texts `t`: 10, 2.5, and no numbers."""
    return spark.createDataFrame(
        [
            (1.0, "10", "a", "de", 10), (2.0, "2.5", "b", "de", 20), (2.0, "ten", "b", "de", 20),
            (3.0, "", " \t", "fr", None), (4.0, None, None, "fr", 30), (None, " ", "", "fr", 40),
            (math.nan, "NaN", "b", None, 50), (None, "7x", "a", None, 60),
        ],
        "x double, t string, k string, c string, n int",
    )  # fmt: skip


def test_row_count(frame: DataFrame) -> None:
    assert told(frame, [
        {"row_count": {"min": 8, "max": 8}}, {"row_count": {"min": 9}}, {"row_count": {"max": 7}},
        {"row_count": {"max": 3, "filter": "c = 'de'"}}, {"row_count": {"min": 4, "filter": "c = 'de'"}},
    ]) == [
        (8, None), (8, "rows: found 8, expected at least 9"), (8, "rows: found 8, expected at most 7"), (3, None),
        (3, "rows: found 3, expected at least 4"),
    ]  # fmt: skip


def test_null_ratio_and_empty_ratio(frame: DataFrame) -> None:
    assert told(frame, [
        {"null_ratio": {"column": "x", "max": 0.25}},  # NaN is a value
        {"null_ratio": {"column": "x", "max": 0.24}},
        {"null_ratio": {"column": "t", "max": 0.125}},  # so are the empty text and a blank one
        {"null_ratio": {"column": "c", "max": 0, "filter": "c IS NOT NULL"}},
        {"empty_ratio": {"column": "k", "max": 0.375}},  # NULL, empty, and a space with a tabulator
        {"empty_ratio": {"column": "k", "max": 0.25}},
        {"empty_ratio": {"column": "n", "max": 0.125}},
    ]) == [
        (0.25, None), (0.25, "share of NULL in x: found 0.25, expected at most 0.24"), (0.125, None), (0, None),
        (0.375, None), (0.375, "share of empty k: found 0.375, expected at most 0.25"), (0.125, None),
    ]  # fmt: skip


def test_mean_stddev_and_total(frame: DataFrame) -> None:
    sample = math.sqrt(1.3)  # of 1, 2, 2, 3, 4: squares around 2.4 make 5.2, by 4
    found = told(frame, [
        {"mean": {"column": "x", "min": 2.4, "max": 2.4}}, {"mean": {"column": "x", "max": 2.3}},
        {"mean": {"column": "t", "min": 6.25, "max": 6.25}},  # 10 and 2.5; NaN and other texts do not count
        {"mean": {"column": "x", "min": 2, "filter": "c = 'de'"}},  # 5 / 3
        {"stddev": {"column": "x", "min": 1.14, "max": 1.141}}, {"stddev": {"column": "x", "max": 1}},
        {"stddev": {"column": "x", "max": 0, "filter": "x > 3"}},  # NaN is not: there is one number, so no deviation
        {"total": {"column": "x", "min": 12, "max": 12}}, {"total": {"column": "x", "min": 12.5}},
        {"total": {"column": "n", "max": 0, "filter": "n < 0"}},
    ])  # fmt: skip
    assert found == [
        (2.4, None), (2.4, "mean of x: found 2.4, expected at most 2.3"), (6.25, None),
        (pytest.approx(5 / 3), "mean of x: found 1.66667, expected at least 2"),
        (pytest.approx(sample), None),
        (pytest.approx(sample), "standard deviation of x: found 1.14018, expected at most 1"),
        (None, None), (12, None), (12, "total of x: found 12, expected at least 12.5"), (0, None),
    ]  # fmt: skip


def test_smallest_and_largest(frame: DataFrame) -> None:
    assert told(frame, [
        {"smallest": {"column": "x", "min": 1}}, {"smallest": {"column": "x", "min": 1.5}},
        {"largest": {"column": "x", "max": 4}}, {"largest": {"column": "x", "max": 3}},  # NaN is no number
        {"largest": {"column": "t", "min": 10, "max": 10}},  # as a number, though as a text it is not the last
        {"largest": {"column": "x", "max": 3, "filter": "c = 'de'"}},
    ]) == [
        (1, None), (1, "smallest x: found 1, expected at least 1.5"), (4, None),
        (4, "largest x: found 4, expected at most 3"), (10, None), (2, None),
    ]  # fmt: skip


def test_quantile(frame: DataFrame) -> None:
    """Of 1, 2, 2, 3, 4 the median is 2, the quantile of 0.8 is 3, that of 0.81 is 4."""
    assert sentences(frame, [
        {"quantile": {"column": "x", "q": 0.5, "min": 2, "max": 2}},
        {"quantile": {"column": "x", "q": 0.5, "min": 2.5}},
        {"quantile": {"column": "x", "q": 0.5, "max": 1.5}},
        {"quantile": {"column": "x", "q": 0.8, "min": 3, "max": 3}},
        {"quantile": {"column": "x", "q": 0.81, "max": 3}},
        {"quantile": {"column": "x", "q": 1, "min": 4, "max": 4}},
        {"quantile": {"column": "x", "q": 0, "min": 1, "max": 1}},
        {"quantile": {"column": "x", "q": 0, "max": 0.5}},
        {"quantile": {"column": "x", "q": 0.5, "max": 2, "filter": "c = 'fr'"}},
    ]) == [
        None, "0.5 quantile of x: 60.00% of the numbers are below 2.5, expected less than 50.00%",
        "0.5 quantile of x: 80.00% of the numbers are above 1.5, expected at most 50.00%", None,
        "0.81 quantile of x: 20.00% of the numbers are above 3, expected at most 19.00%", None, None,
        "0 quantile of x: 100.00% of the numbers are above 0.5, expected not all",
        "0.5 quantile of x: 100.00% of the numbers are above 2, expected at most 50.00%",
    ]  # fmt: skip


def test_distinct_count(frame: DataFrame) -> None:
    assert told(frame, [
        {"distinct_count": {"columns": ["c"], "min": 2, "max": 2}},
        {"distinct_count": {"columns": ["x"], "min": 5, "max": 5}},  # NaN is a value
        # a, b, blank and the empty text beside two NULLs; a row with a NULL in it is none of several columns
        {"distinct_count": {"columns": ["k", "c"], "min": 5}},
        {"distinct_count": {"columns": ["c"], "min": 3}},
        {"distinct_count": {"columns": ["n"], "max": 2, "filter": "c = 'de'"}},
    ]) == [(2, None), (5, None), (4, "different k, c: found 4, expected at least 5"),
        (2, "different c: found 2, expected at least 3"), (2, None)]  # fmt: skip


def test_measure_is_any_aggregate(frame: DataFrame) -> None:
    assert told(frame, [
        {"measure": {"sql": "sum(n) / count(*)", "min": 28.75, "max": 28.75}},
        {"measure": {"sql": "count(DISTINCT n)", "max": 5}},
        {"measure": {"sql": "sum(n) FILTER (WHERE c = 'de')", "min": 51}},
        {"measure": {"sql": "max(n) FILTER (WHERE c = 'es')", "min": 1}},  # NULL holds
        {"measure": {"sql": "avg(x)", "max": 1}},
    ]) == [
        (28.75, None), (6, "count(DISTINCT n): found 6, expected at most 5"),
        (50, "sum(n) FILTER (WHERE c = 'de'): found 50, expected at least 51"), (None, None),
        (pytest.approx(math.nan, nan_ok=True), "avg(x): found nan, expected at most 1"),
    ]  # fmt: skip


def test_a_measured_rule_marks_unless_it_is_to_stop_the_run(frame: DataFrame) -> None:
    first, second = checked(frame, [
        {"row_count": {"min": 9, "owner": "sales"}}, {"mean": {"column": "x", "max": 3, "severity": "fail"}},
    ]).results  # fmt: skip
    message = "rows: found 8, expected at least 9"
    assert first == RuleResult("0", "warn", 1, 8, "row_count", (), 8, message, "sales")
    assert second == RuleResult("1", "fail", 0, 8, "mean", ("x",), 2.4)
    assert not first.holds
    assert second.holds


EVERY: list[dict[str, Any]] = [
    {"null_ratio": {"column": "x", "max": 0}}, {"empty_ratio": {"column": "k", "max": 0}},
    {"mean": {"column": "x", "min": 1, "max": 2}}, {"stddev": {"column": "x", "min": 1}},
    {"smallest": {"column": "x", "min": 1}}, {"largest": {"column": "x", "max": 1}},
    {"quantile": {"column": "x", "q": 0.5, "min": 1, "max": 2}}, {"measure": {"sql": "max(x)", "min": 1}},
    {"is_like": {"column": "c", "baseline": {"shares": {"de": 1}}}}, {"is_fresh": {"column": "t", "within": "1d"}},
]  # fmt: skip


def test_without_rows_what_is_no_count_holds(frame: DataFrame) -> None:
    nothing = frame.where("false")
    assert told(nothing, EVERY) == [(None, None)] * len(EVERY)
    assert told(nothing, [
        {"row_count": {"min": 1}}, {"total": {"column": "x", "min": 1}},
        {"distinct_count": {"columns": ["x"], "min": 1}},
    ]) == [
        (0, "rows: found 0, expected at least 1"), (0, "total of x: found 0, expected at least 1"),
        (0, "different x: found 0, expected at least 1"),
    ]  # fmt: skip


def test_where_all_is_null_only_its_share_and_its_freshness_are_wrong(frame: DataFrame) -> None:
    empty = frame.selectExpr("double(NULL) x", "string(NULL) t", "string(NULL) k", "string(NULL) c", "1 n")
    assert told(empty, EVERY) == [
        (1, "share of NULL in x: found 1, expected at most 0"), (1, "share of empty k: found 1, expected at most 0"),
        *[(None, None)] * (len(EVERY) - 3), (None, "latest t: found no time, expected one within 1 d"),
    ]  # fmt: skip


def test_is_fresh(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    at = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)
    monkeypatch.setattr("lakeloop.quality.measured_rules.now", lambda: at)
    times = spark.createDataFrame(
        [("2026-05-04 10:00:00", 1), ("soon", 1), (None, 1), ("2026-05-03T12:00:00+02:00", 2), ("+11000-01-01", 3)],
        "t string, n int",
    )  # fmt: skip
    assert told(times, [
        {"is_fresh": {"column": "t", "within": "2h", "filter": "n = 1"}},
        {"is_fresh": {"column": "t", "within": "7199s", "filter": "n = 1"}},
        {"is_fresh": {"column": "t", "within": "1d", "filter": "n = 2"}},
        {"is_fresh": {"column": "t", "within": "1d", "filter": "t = 'soon'"}},
        {"is_fresh": {"column": "t", "within": "1d", "filter": "n = 9"}},
    ]) == [
        (7200, None), (7200, "latest t: found 2026-05-04 10:00:00 UTC, 2 h ago, expected within 1 h 59 m"),
        (93_600, "latest t: found 2026-05-03 10:00:00 UTC, 1 d 2 h ago, expected within 1 d"),
        (None, "latest t: found no time, expected one within 1 d"), (None, None),
    ]  # fmt: skip
    far = spark.sql("SELECT explode(array(timestamp_seconds(300000000000), timestamp_seconds(-99999999999))) AS t")
    assert sentences(far, [{"is_fresh": {"column": "t", "within": "1d"}}]) == [None]
    long_ago = [{"is_fresh": {"column": "t", "within": "1d", "filter": "t < '1000-01-01'"}}]
    assert sentences(far, long_ago) == [
        "latest t: found 0001-01-01 00:00:00 UTC, 739739 d 12 h ago, expected within 1 d"
    ]


def test_total_matches(frame: DataFrame, spark: SparkSession) -> None:
    other = spark.createDataFrame([(0.1, 5), (0.2, 5), (None, 2), (math.nan, None)], "v double, x int")
    cents = spark.createDataFrame([("0.3",), (None,), ("0.0",)], "v string")

    def read(table: str) -> DataFrame:
        assert table == "silver.other"
        return other

    assert told(frame, [
        {"total_matches": {"column": "x", "table": "silver.other"}},
        {"total_matches": {"column": "x", "table": "silver.other", "other": "v"}},
        {"total_matches": {"column": "x", "table": "silver.other", "other": "v", "within": 11.8}},
        {"total_matches": {"column": "x", "table": "silver.other", "filter": "x < 4", "within": 3.5}},
    ], read_table=read) == [
        (12, None), (12, "total of x: found 12, expected 0.3 as v in silver.other"), (12, None),
        (8, "total of x: found 8, expected 12 as x in silver.other, give or take 3.5"),
    ]  # fmt: skip
    assert sentences(cents, [{"total_matches": {"column": "v", "table": "silver.other"}}], read_table=read) == [None]
    with pytest.raises(TableError, match=r"total_matches: no column 'w' in silver\.other; Allowed: v, x"):
        told(frame, [{"total_matches": {"column": "x", "table": "silver.other", "other": "w"}}], read_table=read)


def test_has_schema(spark: SparkSession) -> None:
    frame = spark.createDataFrame([], "id int, `a.b` decimal(10,2), who struct<Name:string,at:timestamp>, _hidden int")
    whole = {"id": "INT", "a.b": "decimal(10, 2)", "who": "struct<Name:string, at:timestamp>"}
    backwards = dict(reversed(whole.items()))
    assert told(frame, [
        {"has_schema": {"columns": whole, "ordered": True, "exactly": True}},
        {"has_schema": {"columns": {"id": "bigint", "mail": "string"}}},
        {"has_schema": {"columns": {"id": "int"}, "exactly": True}},
        {"has_schema": {"columns": backwards, "ordered": True}},
        {"has_schema": {"columns": backwards, "exactly": True}},
    ]) == [
        (0, None), (2, "schema: id is int, expected bigint; mail is not there, expected string"),
        (1, "schema: a.b, who are not expected"),
        (1, "schema: the order is id, a.b, who, expected who, a.b, id"), (0, None),
    ]  # fmt: skip


def test_is_like_for_values(frame: DataFrame) -> None:
    """`k` is a twice, b three times, blank and empty once each, and NULL once: shares 2/7, 3/7, 2/7 of others."""
    expected = {"a": 0.5, "b": 0.5}
    # |2/7 - 1/2| + |3/7 - 1/2| + |2/7 - 0| = 4/7, halved; others count as half a row of seven in psi.
    psi = (2 / 7 - 1 / 2) * math.log(4 / 7) + (3 / 7 - 1 / 2) * math.log(6 / 7) + (2 / 7 - 1 / 14) * math.log(4)
    found = told(frame, [
        {"is_like": {"column": "k", "baseline": {"shares": expected}, "distance": "variation", "max": 0.29}},
        {"is_like": {"column": "k", "baseline": {"shares": expected}, "max": 0.4}},
        {"is_like": {"column": "k", "baseline": {"shares": {"a": 2 / 7, "b": 3 / 7}}, "max": 0.001}},  # others are told
    ])  # fmt: skip
    assert found == [
        (pytest.approx(2 / 7), None),
        (pytest.approx(psi), f"distribution of k: found {psi:.4g} by psi, expected at most 0.4"),
        (pytest.approx(0, abs=1e-12), None),
    ]


def test_is_like_for_numbers(frame: DataFrame) -> None:
    """`x` is 1, 2, 2, 3, 4 and NaN, which is above all: below 2 one of six, from 2 to 3 two, from 3 on three."""
    baseline = {"edges": [2, 3], "intervals": [1 / 2, 1 / 4, 1 / 4]}
    found = told(frame, [
        {"is_like": {"column": "x", "baseline": baseline, "distance": "ks", "max": 0.33}},
        {"is_like": {"column": "x", "baseline": baseline, "distance": "ks", "max": 0.34}},
        {"is_like": {"column": "t", "baseline": baseline, "distance": "ks", "max": 1}},  # 10, 2.5 and NaN
    ])  # fmt: skip
    assert found == [
        (pytest.approx(1 / 3), "distribution of x: found 0.3333 by ks, expected at most 0.33"),
        (pytest.approx(1 / 3), None), (pytest.approx(1 / 2), None),
    ]  # fmt: skip


def test_each_stretch_of_time_is_judged_by_itself(spark: SparkSession) -> None:
    rows = [
        ("2026-01-01 00:00:00", 1), ("2026-01-01 23:59:59", 2), ("2026-01-02 12:00:00", 3), ("2026-01-02 12:00:00", 5),
        ("2026-01-03 00:00:00", 4), ("soon", 100), (None, 100),
    ]  # fmt: skip
    frame = spark.createDataFrame(rows, "t string, n int")
    daily: dict[str, Any] = {"per": "1d", "event_time": "t"}
    declared = [
        {"row_count": {"min": 2, **daily}}, {"total": {"column": "n", "max": 3, **daily}},
        {"mean": {"column": "n", "max": 4, **daily}}, {"row_count": {"max": 1, "per": "12h", "event_time": "t"}},
        {"row_count": {"min": 7, "max": 7}},
    ]  # fmt: skip
    try:
        spark.conf.set("spark.sql.session.timeZone", "America/New_York")
        abroad = frame.selectExpr("try_cast(concat(t, 'Z') AS timestamp) AS t", "n")
        results = [checked(abroad, declared).results]
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")
    results.append(checked(frame, declared).results)
    over = "total of n: found {}, expected at most 3 (from 2026-01-0{} 00:00:00 UTC)"
    for found in results:
        assert [(each.violations, each.rows, each.value, each.message) for each in found] == [
            (1, 7, 1, "rows: found 1, expected at least 2 (from 2026-01-03 00:00:00 UTC)"),
            (2, 7, 4, f"{over.format(8, 2)}; {over.format(4, 3)}"),
            (0, 7, 4, None), (1, 7, 1, "rows: found 2, expected at most 1 (from 2026-01-02 12:00:00 UTC)"),
            (0, 7, 7, None),
        ]  # fmt: skip


def test_of_many_stretches_three_are_told(spark: SparkSession) -> None:
    frame = spark.sql("SELECT timestamp_seconds(id * 3600) AS t FROM range(5)")
    (result,) = checked(frame, [{"row_count": {"min": 2, "per": "1h", "event_time": "t"}}]).results
    later = spark.sql("SELECT timestamp_seconds(300000000000) AS t")
    (far,) = checked(later, [{"row_count": {"min": 2, "per": "1h", "event_time": "t"}}]).results
    assert far.message == "rows: found 1, expected at least 2 (from 299999998800 s after 1970 UTC)"
    hours = [f"rows: found 1, expected at least 2 (from 1970-01-01 0{hour}:00:00 UTC)" for hour in range(3)]
    assert (result.violations, result.message) == (5, "; ".join([*hours, "and 2 more"]))


def test_a_column_that_has_no_numbers_or_is_not_there(spark: SparkSession, frame: DataFrame) -> None:
    dated = frame.selectExpr("current_date() AS d", "array(x) AS a", "x")
    with pytest.raises(TableError, match="rule 0: mean is of numbers, and d is date"):
        told(dated, [{"mean": {"column": "d", "max": 1}}])
    with pytest.raises(TableError, match="rule 0: is_like is of numbers, and a is array<double>"):
        told(dated, [{"is_like": {"column": "a", "baseline": {"edges": [1], "intervals": [0.5, 0.5]}}}])
    with pytest.raises(TableError, match="rule 0: no column 'y'; the row has d, a, x"):
        told(dated, [{"null_ratio": {"column": "y", "max": 0}}])


def test_a_hostile_name_is_a_name(spark: SparkSession) -> None:
    name = "a.b`c'd\"; DROP TABLE x --"
    frame = spark.createDataFrame([(1.0,), (None,), (1.0,)], ["n"]).withColumnRenamed("n", name)
    declared: list[dict[str, Any]] = [
        {"null_ratio": {"column": name, "max": 0.1}}, {"mean": {"column": name, "max": 0.5}},
        {"total": {"column": name, "max": 2}}, {"distinct_count": {"columns": [name], "min": 1, "max": 1}},
        {"quantile": {"column": name, "q": 0.5, "max": 0}}, {"empty_ratio": {"column": name, "max": 0.5}},
        {"is_like": {"column": name, "baseline": {"shares": {"1.0": 1}}}},
    ]  # fmt: skip
    assert [each is None for each in sentences(frame, declared)] == [False, False, True, True, False, True, True]
