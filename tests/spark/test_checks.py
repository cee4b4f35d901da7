"""Rules as aggregates beside the same rules row by row, and as assertions of a test."""

from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import TableError
from lakeloop.quality import Rule, assert_rules_hold, check_rules, judge_rules

DECLARED: list[dict[str, Any]] = [
    {"is_not_null": "k"},
    {"is_in_range": {"column": "n", "min": 0, "max": 9, "severity": "warn", "filter": "k <> 'c'"}},
    {"is_unique": ["k"]},
    {"is_in": {"column": "k", "values": ["a", "b"], "severity": "drop", "owner": "sales"}},
    {"references": {"columns": ["n"], "table": "silver.numbers"}},
]


def rules(*declared: dict[str, Any]) -> list[Rule]:
    return [Rule.model_validate(each) for each in declared]


@pytest.fixture(scope="module")
def frame(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(
        [(1, "a", 5), (2, "a", 5), (3, None, 10), (4, "b", None), (5, "c", 99), (6, "b", -1)],
        "id int, k string, n int",
    )


def test_what_is_counted_is_what_rows_are_told(frame: DataFrame) -> None:
    def read(_: str) -> DataFrame:
        return frame.where("id <= 3").select("n")

    checked = check_rules(frame, rules(*DECLARED), read_table=read)
    judged = judge_rules(frame, rules(*DECLARED), read_table=read)
    told = judged.select(F.explode("_reasons.rule").alias("rule")).groupBy("rule").count().collect()
    by_hand = {"k_is_not_null": 1, "n_is_in_range": 1, "k_is_unique": 4, "k_is_in": 1, "n_references": 2}
    assert {row["rule"]: row["count"] for row in told} == by_hand
    assert {each.rule: each.violations for each in checked.results} == by_hand
    assert [each.rule for each in checked.results] == [each.name for each in rules(*DECLARED)]
    assert [(each.rows, each.severity, each.owner) for each in checked.results] == [
        (6, "error", None), (6, "warn", None), (6, "error", None), (6, "drop", "sales"), (6, "error", None),
    ]  # fmt: skip
    assert checked.violated == checked.results
    assert checked["n_is_in_range"].share == pytest.approx(1 / 6)
    assert checked["k_is_unique"].columns == ("k",)
    with pytest.raises(KeyError, match="no rule 'k_is_not_nul'; did you mean 'k_is_not_null'"):
        checked["k_is_not_nul"]


def test_no_rules_and_no_rows(frame: DataFrame) -> None:
    assert check_rules(frame, []).rows == 6
    assert check_rules(frame, []).results == ()
    nothing = check_rules(
        frame.where("false"), rules({"is_not_null": "k"}, {"is_unique": "k"}, {"row_count": {"max": 0}})
    )
    assert [(each.violations, each.rows, each.share) for each in nothing.results] == [(0, 0, 0.0)] * 3


def test_measures_do_not_look_at_rows_that_a_rule_drops(frame: DataFrame) -> None:
    """Only the row of `c` is dropped: that of the NULL is quarantined by another rule, and counts."""
    found = check_rules(frame, rules(
        {"is_not_null": "k"}, {"is_in": {"column": "k", "values": ["a", "b"], "severity": "drop"}},
        {"row_count": {"min": 6}}, {"largest": {"column": "n", "max": 9}}, {"measure": {"sql": "count(*)", "max": 4}},
        {"total": {"column": "n", "max": 0}}, {"distinct_count": {"columns": ["id"], "min": 6}},
    ))  # fmt: skip
    assert [(each.value, each.message) for each in found.results[2:]] == [
        (5, "rows: found 5, expected at least 6"), (10, "largest n: found 10, expected at most 9"),
        (5, "count(*): found 5, expected at most 4"), (19, "total of n: found 19, expected at most 0"),
        (5, "different id: found 5, expected at least 6"),
    ]  # fmt: skip


def test_a_stretch_of_which_all_rows_are_dropped_is_none(spark: SparkSession) -> None:
    frame = spark.sql("SELECT id AS n, timestamp_seconds(id * 86400) AS t FROM range(2)")
    declared = rules(
        {"is_in": {"column": "n", "values": [0], "severity": "drop"}},
        {"row_count": {"min": 1, "per": "1d", "event_time": "t"}},
    )
    assert check_rules(frame, declared)["row_count"].holds


def test_later_rows_are_added_to_the_states_of_earlier_ones(spark: SparkSession) -> None:
    declared = rules(
        {"row_count": {"max": 3, "horizon": "all"}},
        {"mean": {"column": "n", "max": 2.5, "horizon": "all"}},
        {"largest": {"column": "n", "max": 8, "name": "largest_day", "per": "1d", "event_time": "t"}},
        {"total": {"column": "n", "max": 5, "name": "total_day", "per": "1d", "event_time": "t"}},
        {"null_ratio": {"column": "n", "max": 0.4}},
    )

    def batch(*rows: tuple[str, int | None]) -> DataFrame:
        return spark.createDataFrame(list(rows), "t string, n int")

    first = check_rules(batch(("2026-01-01", 2), ("2026-01-01", None)), declared)
    assert [each.message for each in first.results] == [
        *[None] * 4, "share of NULL in n: found 0.5, expected at most 0.4"
    ]  # fmt: skip
    second = check_rules(batch(("2026-01-02", 3)), declared, after=first)
    assert [each.message for each in second.results] == [None] * 5
    third = check_rules(batch(("2026-01-01", 4)), declared, after=second)
    assert [(each.value, each.message) for each in third.results] == [
        (4, "rows: found 4, expected at most 3"), (3, "mean of n: found 3, expected at most 2.5"), (4, None),
        (6, "total of n: found 6, expected at most 5 (from 2026-01-01 00:00:00 UTC)"), (0, None),
    ]  # fmt: skip
    assert [each.rows for each in third.results] == [1] * 5
    assert set(third.states["total_day"]) == {"2026-01-01 00:00:00", "2026-01-02 00:00:00"}


def test_rows_of_earlier_batches_are_compared_with_and_not_counted(frame: DataFrame) -> None:
    declared = rules({"is_unique": {"columns": ["k"], "horizon": "all"}})
    found = check_rules(frame.where("id IN (1, 4)"), declared, earlier=frame.where("id = 2"))
    assert (found.rows, found["k_is_unique"].violations) == (2, 1)


def test_two_rules_of_one_name_are_refused(frame: DataFrame) -> None:
    twice = rules({"is_in_range": {"column": "n", "min": 0}}, {"is_in_range": {"column": "n", "max": 9}})
    message = "two rules are called n_is_in_range; give one a `name`"
    with pytest.raises(TableError, match=message):
        check_rules(frame, twice)
    with pytest.raises(TableError, match=message):
        judge_rules(frame, twice)


def test_rules_that_hold_pass_without_a_word(frame: DataFrame) -> None:
    assert_rules_hold(frame, [{"is_unique": "id"}, {"row_count": {"min": 6}}, *rules({"is_not_null": "id"})])
    assert_rules_hold(frame, [])


def test_rules_that_do_not_hold_are_told_with_rows(frame: DataFrame) -> None:
    declared = [*DECLARED[:2], {"row_count": {"min": 7}}, {"is_not_null": "id"}]
    with pytest.raises(AssertionError) as caught:
        assert_rules_hold(frame.where("id IN (3, 5, 6)").orderBy("id").coalesce(1), declared)
    assert str(caught.value) == "\n".join([
        "3 of 4 rules do not hold over 3 rows:",
        "  k_is_not_null (error): 1 rows",
        "  n_is_in_range (warn): 1 rows",
        "  row_count (warn): rows: found 3, expected at least 7",
        "",
        "  id=3, k=None, n=10",
        "    k_is_not_null: k: found NULL, expected a value",
        "  id=6, k='b', n=-1",
        "    n_is_in_range: n: found -1, expected a number from 0 to 9",
    ])  # fmt: skip


def test_examples_are_few_and_names_are_names(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(None,)] * 9, "n int").withColumnRenamed("n", "a.`b")
    with pytest.raises(AssertionError) as caught:
        assert_rules_hold(frame, [{"is_not_null": "a.`b"}], examples=2)
    assert str(caught.value).splitlines()[1:] == [
        "  a.`b_is_not_null (error): 9 rows", "",
        *["  a.`b=None", "    a.`b_is_not_null: a.`b: found NULL, expected a value"] * 2,
    ]  # fmt: skip


def test_a_table_that_nobody_can_read_says_what_to_pass(frame: DataFrame) -> None:
    with pytest.raises(TableError, match=r"a rule reads silver\.x; pass read_table"):
        check_rules(frame, rules({"total_matches": {"column": "n", "table": "silver.x"}}))


def test_a_rule_holds_within_its_tolerance(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(1,), (1,), (None,), (2,)], "id int")
    for at_most, violated in (("24.9%", 1), (0.25, 0), ("30%", 0)):
        rules = [Rule.model_validate({"is_not_null": {"column": "id", "at_most": at_most}})]
        assert len(check_rules(frame, rules).violated) == violated
