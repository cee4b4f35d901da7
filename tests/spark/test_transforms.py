"""Transforms on a real session in ANSI mode: what they change, what they find, and that no row goes."""

from collections.abc import Sequence
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.errors import TableError
from lakeloop.ingestion.conform_types import keep_known_types
from lakeloop.ingestion.transforms import Conformed, Transform, conform
from lakeloop.quality.judgement import judge


def transforms(*declared: dict[str, Any]) -> list[Transform]:
    return [Transform.model_validate(entry) for entry in declared]


def cast(spark: SparkSession, values: Sequence[str | None], sql_type: str) -> dict[str | None, str]:
    """Per text: the value after the cast, as text, or the message of its row; `good NULL` for neither."""
    rows = spark.createDataFrame([(value, value) for value in values], "given string, x string").coalesce(1)
    conformed = conform(Conformed(rows), transforms({"cast": {"x": sql_type}}))
    assert dict(conformed.frame.dtypes)["x"] == sql_type.replace(" ", "")
    judged = judge(conformed.frame, conformed.findings)
    return {
        row["given"]: row["x"] or (row["message"] or "good NULL")
        for row in judged.select(
            "given", F.col("x").cast("string"), F.col("_reasons")[0]["message"].alias("message")
        ).collect()
    }


def test_the_session_is_ansi(spark: SparkSession) -> None:
    assert spark.conf.get("spark.sql.ansi.enabled") == "true"


def test_trim_empties_blank_texts_and_leaves_null(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(" a ",), ("   ",), ("",), (None,), ("\t b\xa0\r",), ("x y",)], "x string")
    conformed = conform(Conformed(rows.coalesce(1)), transforms({"trim": ["x"]}))
    assert [row["x"] for row in conformed.frame.collect()] == ["a", None, None, None, "b", "x y"]


@pytest.mark.parametrize(
    ("sql_type", "expected"),
    [
        ("int", {"12": "12", " 12 ": "12", "-0": "0", None: "good NULL"}),
        ("int", dict.fromkeys(["", "1.5", "1e3", "twelve", "2147483648", "0x10", "1,000"])),
        ("bigint", {"9223372036854775807": "9223372036854775807", "9223372036854775808": None}),
        ("double", {"1.50": "1.5", "1e3": "1000.0", "NaN": "NaN", "1,5": None, "": None, "12d": None, "3F": None}),
        ("decimal(10,2)", {"12.34": "12.34", "1": "1.00", "123456789.00": None, "NaN": None, "n/a": None}),
        ("decimal(10,2)", {"1.500": "1.50", "1.50 ": "1.50", "15e-1": "1.50"}),
        ("decimal(10,2)", dict.fromkeys(["1.505", "-0.001", "1505e-3"])),
        ("decimal(38,2)", {"1.505": None, "1.500": "1.50", None: "good NULL"}),
        ("boolean", {"true": "true", "FALSE": "false", "maybe": None, "2": None}),
        ("date", {"2026-02-28": "2026-02-28", "2026-02-28T10:00:00Z": "2026-02-28"}),
        ("date", dict.fromkeys(["2026-02-30", "2026-02", "2026", "28/02/2026", "2026-02-28 sometime", "12:30", ""])),
        ("timestamp", {"2026-02-28T10:00:00+02:00": "2026-02-28 08:00:00", "2026-02-28": "2026-02-28 00:00:00"}),
        ("timestamp", dict.fromkeys(["2025", "2025-01", "12:30", "T12:30", "2026-02-30 10:00", "now"])),
        ("timestamp", dict.fromkeys(["2026-01-01 25:00"])),
    ],
)  # fmt: skip
def test_cast_converts_or_says_why_not(
    spark: SparkSession, sql_type: str, expected: dict[str | None, str | None]
) -> None:
    article = "an" if sql_type == "int" else "a"
    wanted = {
        text: value or f"x: found {text}, expected {article} {sql_type}" for text, value in expected.items()
    }  # fmt: skip
    assert cast(spark, list(expected), sql_type) == wanted


def test_a_long_value_is_cut_in_the_message(spark: SparkSession) -> None:
    (message,) = cast(spark, ["9" * 5_000], "int").values()
    assert len(message) < 260


def test_cast_names_its_finding_by_column(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("x", "y")], "`a b` string, c string")
    findings = conform(Conformed(rows), transforms({"cast": {"a b": "int", "c": "date"}})).findings
    assert [(finding.name, finding.columns, finding.blocking) for finding in findings] == [
        ("a b_is_castable", ("a b",), True),
        ("c_is_castable", ("c",), True),
    ]


def test_impute_fills_null_in_the_type_of_the_column(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(None, None, None), (1, "", 2.5)], "n int, s string, d double").coalesce(1)
    filled = conform(Conformed(rows), transforms({"impute": {n: {"constant": 7} for n in ("n", "s", "d")}})).frame
    assert filled.dtypes == rows.dtypes
    assert [tuple(row) for row in filled.collect()] == [(7, "7", 7.0), (1, "", 2.5)]


def test_impute_refuses_a_constant_of_another_type(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(1,)], "n int")
    with pytest.raises(TableError, match="impute: n is of type int, and the constant 'many' is not"):
        conform(Conformed(rows), transforms({"impute": {"n": {"constant": "many"}}}))


def test_an_imputed_value_does_not_hide_that_a_cast_failed(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("ten",)], "n string")
    conformed = conform(Conformed(rows), transforms({"cast": {"n": "int"}}, {"impute": {"n": {"constant": 0}}}))
    (row,) = judge(conformed.frame, conformed.findings).collect()
    assert row["_verdict"] == "quarantined"


@pytest.mark.parametrize(
    "declared",
    [
        {"trim": ["nam"]},
        {"cast": {"nam": "int"}},
        {"impute": {"nam": {"constant": 1}}},
        {"dedupe": {"keys": ["nam"]}},
        {"dedupe": {"keys": ["name"], "latest_by": "nam"}},
    ],
)
def test_a_missing_column_is_named_with_the_nearest(spark: SparkSession, declared: dict[str, Any]) -> None:
    rows = spark.createDataFrame([("x", "y")], "name string, _position string")
    with pytest.raises(TableError, match=rf"{next(iter(declared))}: no column 'nam'.*did you mean 'name'") as refused:
        conform(Conformed(rows), transforms(declared))
    assert "_position" not in str(refused.value)


def survivors(frame: DataFrame, *declared: dict[str, Any], column: str = "v") -> list[Any]:
    conformed = conform(Conformed(frame), transforms(*declared)).frame
    assert conformed.count() == frame.count()
    return sorted(row[column] for row in conformed.where(~F.col("_dropped")).collect())


def test_dedupe_keeps_the_latest_and_null_is_oldest(spark: SparkSession) -> None:
    rows = [
        ("a", 1, "old"),
        ("a", 3, "new"),
        ("a", None, "none"),
        ("b", None, "only"),
        ("c", -1, "c"),
        ("c", None, "n"),
    ]
    frame = spark.createDataFrame(rows, "k string, t int, v string")  # fmt: skip
    assert survivors(frame, {"dedupe": {"keys": ["k"], "latest_by": "t"}}) == ["c", "new", "only"]


def test_dedupe_does_not_take_null_keys_for_equal(spark: SparkSession) -> None:
    rows = [(None, 1, "a"), (None, 1, "b"), ("k", None, "c"), ("k", None, "d"), ("k", 1, "e"), ("k", 1, "e")]
    frame = spark.createDataFrame(rows, "k string, n int, v string")
    assert survivors(frame, {"dedupe": {"keys": ["k", "n"]}}) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("latest_by", [{}, {"latest_by": "t"}])
def test_ties_do_not_depend_on_the_order_of_arrival(spark: SparkSession, latest_by: dict[str, str]) -> None:
    rows = [(key, 1, f"{key}{version}") for key in range(20) for version in range(5)]
    kept = [
        survivors(
            spark.createDataFrame(order, "k int, t int, v string").repartition(partitions),
            {"dedupe": {"keys": ["k"], **latest_by}},
        )
        for order, partitions in ((rows, 1), (rows[::-1], 3))
    ]
    assert kept[0] == kept[1]
    assert len(kept[0]) == 20


def test_a_second_dedupe_does_not_count_what_the_first_dropped(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(1, 1, 2, "a"), (1, 2, 3, "b"), (2, 1, 1, "c")], "k int, n int, t int, v string")
    twice = [{"dedupe": {"keys": [key], "latest_by": "t"}} for key in ("k", "n")]
    assert survivors(frame, *twice) == ["b", "c"]


@pytest.mark.parametrize(
    ("arrives", "known", "kept", "refused"),
    [
        ("SELECT 'x' AS v UNION ALL SELECT '12'", "v int", ["12"], ["v: found x, expected an int"]),
        ("SELECT 12 AS v", "v string", ["12"], []),
        ("SELECT 3000000000 AS v UNION ALL SELECT 5L", "v int", ["5"], ["v: found 3000000000, expected an int"]),
        ("SELECT 1.5D AS v UNION ALL SELECT 2D", "v int", ["2"], ["v: found 1.5, expected an int"]),
        ("SELECT DATE'2026-01-01' AS v", "v int", [], ["v: found 2026-01-01, expected an int"]),
        ("SELECT array(1) AS v", "v int", [], ["v: found [1], expected an int"]),
        ("SELECT true AS v", "v timestamp", [], ["v: found true, expected a timestamp"]),
        ("SELECT NULL AS v", "v int", ["NULL"], []),
    ],
)
def test_a_column_that_changes_type_keeps_the_one_it_had(
    spark: SparkSession, arrives: str, known: str, kept: list[str], refused: list[str]
) -> None:
    schema = spark.createDataFrame([], known).schema
    extract = keep_known_types(Conformed(spark.sql(arrives)), schema, {})
    assert extract.frame.schema["v"].dataType == schema["v"].dataType
    judged = judge(extract.frame, extract.findings).select(
        F.coalesce(F.col("v").cast("string"), F.lit("NULL")).alias("v"), "_verdict", F.col("_reasons")[0].alias("why")
    )
    rows = judged.collect()
    assert sorted(row["v"] for row in rows if row["_verdict"] == "good") == kept
    assert [tuple(row["why"]) for row in rows if row["_verdict"] != "good"] == [
        ("v_type_changed", text) for text in refused
    ]
