import math
from collections.abc import Callable
from typing import Any

import pytest
from chispa import assert_df_equality
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import TableError
from lakeloop.quality import Finding, Rule, judge, judge_rules, split
from lakeloop.quality.judgement import BITS, has_failed

Reasons = list[tuple[str, str]] | None


def verdicts(judged: DataFrame) -> list[tuple[str, Reasons]]:
    """Verdict and reasons of each row in the order of `id`."""
    rows = judged.orderBy("id").select("_verdict", "_reasons").collect()
    return [(verdict, None if reasons is None else [tuple(reason) for reason in reasons]) for verdict, reasons in rows]


def rules(*declared: dict[str, Any]) -> list[Rule]:
    return [Rule.model_validate(rule) for rule in declared]


@pytest.fixture
def people(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(
        [(1, "Ann", 30), (2, None, 30), (3, "Bob", 130), (4, None, -1)], "id int, n string, a int"
    )


def test_each_row_gets_one_verdict_and_every_reason_in_the_order_of_the_rules(people: DataFrame) -> None:
    found = judge_rules(people, rules({"is_not_null": "n"}, {"is_in_range": {"column": "a", "min": 0, "max": 120}}))
    no_name = ("n_is_not_null", "n: found NULL, expected a value")
    assert verdicts(found) == [
        ("good", None),
        ("quarantined", [no_name]),
        ("quarantined", [("a_is_in_range", "a: found 130, expected a number from 0 to 120")]),
        ("quarantined", [no_name, ("a_is_in_range", "a: found -1, expected a number from 0 to 120")]),
    ]


def test_severity_decides_between_a_mark_and_the_quarantine(people: DataFrame) -> None:
    found = judge_rules(
        people.where("id = 2"),
        rules({"is_not_null": {"column": "n", "severity": "warn"}}, {"has_length": {"column": "n", "min": 1}}),
    )
    assert verdicts(found) == [("good", [("n_is_not_null", "n: found NULL, expected a value")])]
    for severity in ("error", "fail"):
        found = judge_rules(people.where("id = 2"), rules({"is_not_null": {"column": "n", "severity": severity}}))
        assert verdicts(found)[0][0] == "quarantined"


def test_a_filter_that_is_not_true_leaves_the_row_unjudged(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(1, None, True), (2, None, False), (3, None, None)], "id int, n string, f boolean")
    found = judge_rules(frame, rules({"is_not_null": {"column": "n", "filter": "f"}}))
    assert [verdict for verdict, _ in verdicts(found)] == ["quarantined", "good", "good"]


def test_no_rules_make_every_row_good(people: DataFrame) -> None:
    assert verdicts(judge_rules(people, [])) == [("good", None)] * 4
    assert (
        judge_rules(people, []).schema["_reasons"].dataType.simpleString()
        == "array<struct<rule:string,message:string>>"
    )


def test_split_gives_back_the_rows_as_they_were(people: DataFrame, spark: SparkSession) -> None:
    good, bad = split(judge_rules(people, rules({"is_not_null": "n"}, {"is_unique": "id"})))
    assert_df_equality(good, people.where("n IS NOT NULL"), ignore_row_order=True, ignore_nullable=True)
    assert_df_equality(bad.drop("_reasons"), people.where("n IS NULL"), ignore_row_order=True, ignore_nullable=True)
    assert bad.columns == ["id", "n", "a", "_reasons"]


def test_dropped_rows_are_judged_no_further(people: DataFrame) -> None:
    findings = [Finding("bad", F.when(F.col("n").isNull(), F.lit("no name")))]
    found = judge(people, findings, dropped=F.when(F.col("id") >= 3, F.col("id") >= 3))  # NULL for the first two
    kept = [("dedupe", "another row of this key was kept")]
    assert verdicts(found) == [
        ("good", None),
        ("quarantined", [("bad", "no name")]),
        ("dropped", kept),
        ("dropped", kept),
    ]
    assert found.where("_verdict = 'dropped'").select(has_failed(0).alias("f")).distinct().collect() == [(False,)]


@pytest.mark.parametrize(
    ("blocking", "columns", "expected"),
    [
        (True, ("a",), ["first", "of b"]),
        (True, ("a", "b"), ["first"]),
        (True, (), ["first"]),
        (False, ("a",), ["first", "of a", "of b"]),
    ],
)
def test_a_blocking_finding_silences_later_ones_on_its_columns(
    spark: SparkSession, blocking: bool, columns: tuple[str, ...], expected: list[str]
) -> None:
    findings = [
        Finding("first", F.when(F.col("id") == 1, F.lit("x")), columns=columns, blocking=blocking),
        Finding("of a", F.lit("x"), columns=("a",)),
        Finding("of b", F.lit("x"), columns=("b",)),
    ]
    (_, first), (_, second) = verdicts(judge(spark.createDataFrame([(1,), (2,)], "id int"), findings))
    assert [name for name, _ in first or []] == expected
    assert [name for name, _ in second or []] == ["of a", "of b"]


def test_a_blocking_finding_does_not_silence_earlier_ones(spark: SparkSession) -> None:
    findings = [Finding("early", F.lit("x"), columns=("a",)), Finding("late", F.lit("x"), blocking=True)]
    ((_, reasons),) = verdicts(judge(spark.createDataFrame([(1,)], "id int"), findings))
    assert [name for name, _ in reasons or []] == ["early", "late"]


def test_more_rules_than_fit_into_one_word(spark: SparkSession) -> None:
    count = 2 * BITS + 3
    findings = [
        Finding(f"r{i}", F.when(F.col("id") == i, F.lit(f"m{i}")), "warn" if i % 2 else "error") for i in range(count)
    ]
    edges = [0, 1, 31, 32, BITS - 1, BITS, BITS + 1, 2 * BITS - 1, 2 * BITS, count - 1, count]
    judged = judge(spark.createDataFrame([(i,) for i in edges], "id int"), findings)
    assert verdicts(judged) == [
        ("good" if i % 2 or i == count else "quarantined", None if i == count else [(f"r{i}", f"m{i}")]) for i in edges
    ]
    failed = judged.orderBy("id").select(*(has_failed(i).alias(f"f{i}") for i in edges[:-1])).collect()
    assert [[i for i, bit in zip(edges[:-1], row, strict=True) if bit] for row in failed] == [
        [i] for i in edges[:-1]
    ] + [[]]


def test_a_rule_on_a_column_that_is_not_there_names_those_that_are(people: DataFrame) -> None:
    with pytest.raises(TableError, match="rule nam_is_not_null: no column 'nam'; the row has id, n, a"):
        judge_rules(people, rules({"is_not_null": "nam"}))


def test_references_without_a_way_to_read_tables_says_what_to_pass(people: DataFrame) -> None:
    with pytest.raises(TableError, match=r"a rule reads silver\.x; pass read_table"):
        judge_rules(people, rules({"references": {"columns": ["id"], "table": "silver.x"}}))


# The rules once more in plain Python, on a text `t`, a number `x` and a key `k`.
REFERENCE: dict[str, tuple[dict[str, Any], Callable[[Any, list[Any]], bool]]] = {
    "t_is_not_null": ({"is_not_null": "t"}, lambda row, _: row[1] is None),
    "t_is_not_blank": ({"is_not_blank": "t"}, lambda row, _: row[1] is None or not row[1].strip()),
    "x_is_in_range": (
        {"is_in_range": {"column": "x", "min": -1, "max": 1}},
        lambda row, _: row[2] is not None and not -1 <= row[2] <= 1,
    ),
    "t_is_in": ({"is_in": {"column": "t", "values": ["a", ""]}}, lambda row, _: row[1] not in (None, "a", "")),
    "t_matches": (
        {"matches": {"column": "t", "pattern": "a?b*"}},
        lambda row, _: row[1] not in (None, "", "a", "ab", "b"),
    ),
    "t_has_length": (
        {"has_length": {"column": "t", "min": 1, "max": 1}},
        lambda row, _: row[1] is not None and len(row[1]) != 1,
    ),
    "k_is_unique": (
        {"is_unique": "k"},
        lambda row, rows: row[3] is not None and sum(other[3] == row[3] for other in rows) > 1,
    ),
}
ROWS = st.lists(
    st.tuples(
        st.sampled_from([None, "", " ", "a", "ab", "b", "a\n", "\t"]),
        st.sampled_from([None, -1.0, 1.0, 1.0000001, math.nan, math.inf, -math.inf, -0.0]),
        st.sampled_from([None, 1, 2, 3]),
    ),
    min_size=1,
    max_size=20,
)
DECLARED = st.lists(
    st.tuples(st.sampled_from(sorted(REFERENCE)), st.sampled_from(["error", "warn"])),
    min_size=1,
    unique_by=lambda r: r[0],
)


@settings(max_examples=5)
@given(rows=ROWS, declared=DECLARED)
def test_spark_judges_as_plain_python_does(
    spark: SparkSession, rows: list[Any], declared: list[tuple[str, str]]
) -> None:
    numbered = [(i, *row) for i, row in enumerate(rows)]
    compiled = []
    for name, severity in declared:
        ((kind, given_),) = REFERENCE[name][0].items()
        parameters = given_ if isinstance(given_, dict) else {("columns" if kind == "is_unique" else "column"): given_}
        if kind == "is_unique":
            parameters = {"columns": [given_]}
        compiled.append(Rule.model_validate({kind: {**parameters, "severity": severity}}))
    frame = spark.createDataFrame(numbered, "id int, t string, x double, k int")
    expected = []
    for row in numbered:
        failed = [(name, severity) for name, severity in declared if REFERENCE[name][1](row, numbered)]
        verdict = "quarantined" if any(severity == "error" for _, severity in failed) else "good"
        expected.append((verdict, [name for name, _ in failed]))
    found = [
        (verdict, [name for name, _ in reasons or []]) for verdict, reasons in verdicts(judge_rules(frame, compiled))
    ]
    assert found == expected
