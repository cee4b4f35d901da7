"""`split`, `rename`, `map`, and what holds for transforms one after another."""

from collections.abc import Sequence
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import TableError
from lakeloop.ingestion.transforms import Conformed, Transform, conform
from lakeloop.quality.judgement import judge


def apply(frame: DataFrame, *declared: dict[str, Any]) -> Conformed:
    return conform(Conformed(frame), [Transform.model_validate(entry) for entry in declared])


def reasons(conformed: Conformed) -> list[list[tuple[str, str]]]:
    rows = judge(conformed.frame, conformed.findings).select("_reasons").collect()
    return [[tuple(reason) for reason in row[0] or ()] for row in rows]


def column(spark: SparkSession, values: Sequence[Any], schema: str = "`a b` string") -> DataFrame:
    return spark.createDataFrame([(value,) for value in values], schema).coalesce(1)


@pytest.mark.parametrize("separator", [".", "|", "||", "\\E", "$1", "ab", "\n"])
def test_a_separator_is_no_pattern(spark: SparkSession, separator: str) -> None:
    rows = column(spark, [separator.join("xyz"), separator.join("xy"), f"x{separator}{separator}z", "xyz", None])
    conformed = apply(rows, {"split": {"a b": {"separator": separator, "into": ["c", "d", "e"]}}})
    nothing = (None, None, None)
    assert [tuple(row) for row in conformed.frame.select("c", "d", "e").collect()] == [
        ("x", "y", "z"), nothing, ("x", None, "z"), nothing, nothing
    ]  # fmt: skip
    wanted = f"expected 3 parts with '{separator}' between them"
    assert reasons(conformed) == [
        [],
        [("a b_splits", f"a b: found {separator.join('xy')}, {wanted}")],
        [],
        [("a b_splits", f"a b: found xyz, {wanted}")],
        [],
    ]


def test_a_split_takes_no_place_of_another_column(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("a,b", 1)], "a string, B int")
    with pytest.raises(TableError, match="split: there is a column 'b' already"):
        apply(rows, {"split": {"a": {"separator": ",", "into": ["b", "c"]}}})


def test_names_are_exchanged_and_findings_follow(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("x", "y", None)], "`a``b` string, `c.d` string, e string")
    conformed = apply(rows, {"cast": {"a`b": "int"}}, {"rename": {"a`b": "c", "c.d": "f", "e": "a"}})
    assert conformed.frame.columns[:3] == ["c", "f", "a"]
    assert [finding.columns for finding in conformed.findings] == [("c",)]
    assert reasons(conformed) == [[("a`b_is_castable", "a`b: found x, expected an int")]]


@pytest.mark.parametrize("new", [{"a": "b"}, {"a": "B"}, {"a": "c", "b": "c"}])
def test_two_columns_cannot_get_one_name(spark: SparkSession, new: dict[str, str]) -> None:
    rows = spark.createDataFrame([(1, 2)], "a int, b int")
    with pytest.raises(TableError, match="rename: two columns would be called"):
        apply(rows, {"rename": new})


@pytest.mark.parametrize(
    ("otherwise", "last", "why"),
    [
        ("keep", "x", []),
        ("null", None, []),
        ("quarantine", None, [("a b_is_mapped", "a b: found x, expected one of M, F, n/a, 1")]),
    ],
)
def test_words_are_mapped(spark: SparkSession, otherwise: str, last: str | None, why: list[Any]) -> None:
    rows = column(spark, ["M", "F", "n/a", "1", None, "x"])
    values = {"M": "male", "F": "female", "n/a": None, "1": 2}
    conformed = apply(rows, {"map": {"a b": {"values": values, "otherwise": otherwise}}})
    assert [row[0] for row in conformed.frame.select("a b").collect()] == ["male", "female", None, "2", None, last]
    assert reasons(conformed) == [[]] * 5 + [why]


def test_a_value_of_another_type_is_compared_as_text(spark: SparkSession) -> None:
    rows = column(spark, [True, False, None], "a boolean")
    mapped = apply(rows, {"map": {"a": {"values": {"true": "yes"}, "otherwise": "keep"}}}).frame
    assert [row["a"] for row in mapped.collect()] == ["yes", "false", None]


def test_a_column_converted_twice_keeps_both_findings(spark: SparkSession) -> None:
    """A value that the first conversion loses is found, though the second finds nothing wrong with NULL."""
    rows = column(spark, ["x", "1.5", "2", None])
    conformed = apply(rows, {"cast": {"a b": "double"}}, {"trim": ["a b"]}, {"cast": {"a b": "int"}})
    assert reasons(conformed) == [
        [("a b_is_castable", "a b: found x, expected a double")],
        [("a b_is_castable", "a b: found 1.5, expected an int")],
        [("a b_is_castable", "a b: found 2.0, expected an int")],
        [],
    ]


@pytest.mark.parametrize(
    "declared",
    [
        {"normalise": {"nam": {"case": "lower"}}},
        {"repair": {"nam": ["quotes"]}},
        {"dates": {"nam": {"formats": ["yyyy-MM-dd"], "to": "date"}}},
        {"numbers": {"nam": {"to": "int"}}},
        {"units": {"nam": {"to": "kg", "from": {"kg": 1}}}},
        {"split": {"nam": {"separator": ",", "into": ["a", "b"]}}},
        {"rename": {"nam": "a"}},
        {"map": {"nam": {"values": {"a": "b"}, "otherwise": "keep"}}},
        {"impute": {"nam": "mean"}},
        {"impute": {"name": {"mode": {"by": ["nam"]}}}},
        {"impute": {"name": {"forward_fill": {"by": ["name"], "order_by": "nam"}}}},
        {"outliers": {"nam": {"method": "iqr", "limit": 1, "action": "flag"}}},
    ],
)
def test_a_missing_column_is_named_with_the_nearest(spark: SparkSession, declared: dict[str, Any]) -> None:
    rows = spark.createDataFrame([("x", 1)], "name string, _position int")
    with pytest.raises(TableError, match=rf"{next(iter(declared))}: no column 'nam'.*did you mean 'name'"):
        apply(rows, declared)


def test_every_kind_in_one_pipeline_loses_no_row(spark: SparkSession) -> None:
    rows = spark.range(20).select(
        F.concat(F.lit("  id "), F.col("id") % 7).alias("i.d"),
        F.when(F.col("id") % 3 > 0, F.concat(F.col("id"), F.lit(",5 g"))).alias("wei`ght"),
        F.lit("28.02.2026").alias("day"),
    )
    conformed = apply(
        rows,
        {"repair": {"i.d": ["mojibake", "html_entities"]}},
        {"trim": ["i.d"]},
        {"split": {"i.d": {"separator": " ", "into": ["word", "no"]}}},
        {"cast": {"no": "int"}},
        {"units": {"wei`ght": {"to": "kg", "from": {"g": 0.001, "kg": 1}, "decimal": ","}}},
        {"dates": {"day": {"formats": ["yyyy-MM-dd", "dd.MM.yyyy"], "to": "date"}}},
        {"dedupe": {"keys": ["i.d"]}},
        {"impute": {"wei`ght": "median"}},
        {"outliers": {"wei`ght": {"method": "mad", "limit": 3, "action": "clip"}}},
        {"normalise": {"word": {"unicode": "NFKC", "case": "upper"}}},
        {"rename": {"wei`ght": "weight"}},
    )
    judged = judge(conformed.frame, conformed.findings, dropped=conformed.is_dropped)
    counts = {row["_verdict"]: row["count"] for row in judged.groupBy("_verdict").count().collect()}
    assert counts == {"good": 7, "dropped": 13}
    assert judged.where("weight IS NULL").count() == 0
