"""`dates`, `numbers` and `units`: what is read, what is refused, and that nothing raises in ANSI mode."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.ingestion.transforms import Conformed, Transform, conform
from lakeloop.quality.judgement import judge

COLUMN = "a `b.c"


def texts(spark: SparkSession, values: Sequence[str | None]) -> DataFrame:
    return spark.createDataFrame([(value, value) for value in values], "given string, `a ``b.c` string").coalesce(1)


def read(rows: DataFrame, kind: str, how: dict[str, Any]) -> tuple[str, dict[str | None, str]]:
    """The type, and per text: the value as text, `NULL`, or the message of its row."""
    conformed = conform(Conformed(rows), [Transform.model_validate({kind: {COLUMN: how}})])
    judged = judge(conformed.frame, conformed.findings).select(
        "given", F.col("`a ``b.c`").cast("string").alias("value"), F.col("_reasons")[0].alias("reason")
    )
    found = {}
    for row in judged.collect():
        if row["reason"]:
            assert (row["value"], row["reason"]["rule"]) == (None, f"{COLUMN}_is_castable")
        found[row["given"]] = row["reason"]["message"] if row["reason"] else row["value"] or "NULL"
    return dict(conformed.frame.dtypes)[COLUMN], found


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (
            {"formats": ["yyyy-MM-dd", "dd.MM.yyyy", "d/M/yy"], "to": "date"},
            {"2026-02-28": "2026-02-28", "28.02.2026": "2026-02-28", "3/4/26": "2026-04-03", "3/4/99": "2099-04-03",
             "2026-02-30": None, "30.02.2026": None, "28.2.2026": None, "28.02.26": None, "2026-02-28 ": None,
             "2026-02-28\n": None, "-2026-02-28": None, "0000-01-01": None, "+12026-02-28": None, "": None,
             "2026-02-28 UTC": None, None: "NULL"},
        ),
        ({"formats": ["dd/MM/yyyy", "MM/dd/yyyy"], "to": "date"},
         {"03/04/2026": "2026-04-03", "03/14/2026": "2026-03-14"}),
        ({"formats": ["MM/dd/yyyy", "dd/MM/yyyy"], "to": "date"},
         {"03/04/2026": "2026-03-04", "14/03/2026": "2026-03-14"}),
        ({"formats": ["d MMM yyyy", "MMMM d, yyyy"], "to": "date"},
         {"3 Feb 2026": "2026-02-03", "february 3, 2026": "2026-02-03", "3 Fev 2026": None}),
        ({"formats": ["yyyy-MM-dd'T'HH:mm:ssX"], "to": "timestamp"},
         {"2026-02-28T10:00:00Z": "2026-02-28 10:00:00", "2026-02-30T10:00:00Z": None, "26-02-28T10:00:00Z": None}),
        ({"formats": ["yyyyMMdd"], "to": "date"}, {"20260228": "2026-02-28", "2026022": None}),
        ({"formats": ["M/d/yyyy h:mm a"], "to": "timestamp"},
         {"2/3/2026 3:05 PM": "2026-02-03 15:05:00", "2/3/2026 13:05 PM": None}),
        (
            {"formats": ["yyyy-MM-dd'T'HH:mm:ss[.SSS]XXX", "yyyy-MM-dd HH:mm:ss VV"], "to": "timestamp"},
            {"2026-02-28T10:00:00+02:00": "2026-02-28 08:00:00", "2026-02-28T10:00:00.250Z": "2026-02-28 10:00:00.25",
             "2026-02-28 10:00:00 Asia/Tokyo": "2026-02-28 01:00:00", "2026-02-30T10:00:00Z": None,
             "2026-02-28T24:00:00Z": None, "2026-02-28T10:00:00": None, "2026-02-28 10:00:00 Nowhere/City": None},
        ),
        (
            {"formats": ["dd.MM.yyyy HH:mm", "dd.MM.yyyy"], "time_zone": "Europe/Rome", "to": "timestamp"},
            {"28.02.2026": "2026-02-27 23:00:00", "01.07.2026 12:00": "2026-07-01 10:00:00",
             "29.03.2026 02:30": "2026-03-29 01:30:00", "25.10.2026 02:30": "2026-10-25 00:30:00",
             "31.11.2026 01:00": None},
        ),
    ],
)  # fmt: skip
def test_dates_are_read_by_the_first_format_that_fits(
    spark: SparkSession, how: dict[str, Any], expected: dict[str | None, str | None]
) -> None:
    wanted = f"expected a {how['to']} as {' or '.join(how['formats'])}"
    sql_type, found = read(texts(spark, list(expected)), "dates", how)
    assert sql_type == how["to"]
    assert found == {text: value or f"{COLUMN}: found {text}, {wanted}" for text, value in expected.items()}


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "+05:30", "Asia/Tokyo"])
def test_the_zone_of_the_session_has_no_part_in_it(spark: SparkSession, zone: str) -> None:
    spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        day = {"formats": ["dd.MM.yyyy"], "to": "date"}
        # Midnight of 2018-11-04 does not exist in São Paulo.
        assert read(texts(spark, ["04.11.2018"]), "dates", day)[1] == {"04.11.2018": "2018-11-04"}
        moment = Transform.model_validate({"dates": {COLUMN: {"formats": ["dd.MM.yyyy HH:mm"], "to": "timestamp"}}})
        frame = conform(Conformed(texts(spark, ["28.02.2026 12:00"])), [moment]).frame
        assert frame.select(F.unix_seconds("`a ``b.c`")).collect()[0][0] == 1772280000
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")


def test_what_is_a_date_already_is_taken_as_it_is(spark: SparkSession) -> None:
    rows = spark.sql("SELECT 'x' AS given, TIMESTAMP'2026-02-28 10:00:00' AS `a ``b.c`")
    assert read(rows, "dates", {"formats": ["dd.MM.yyyy"], "to": "date"}) == ("date", {"x": "2026-02-28"})


@settings(max_examples=8)
@given(
    values=st.lists(st.text("0123456789-./: TZ+abFeé'\"[]%€(,) ", max_size=20), min_size=1, max_size=40, unique=True)
)
def test_nothing_raises_and_no_row_goes(spark: SparkSession, values: list[str]) -> None:
    formats = ["yyyy-MM-dd", "d.M.yy", "dd MMM yyyy", "HH:mm:ss dd.MM.yyyyXXX"]
    for kind, how in (
        ("dates", {"formats": formats, "to": "timestamp"}),
        ("dates", {"formats": formats[:3], "to": "date"}),
        ("numbers", {"to": "int", "thousands": ".", "decimal": ",", "negative_parentheses": True}),
        ("numbers", {"to": "decimal(3,1)", "percent": True, "currency": ["€"]}),
        ("units", {"to": "b", "from": {"b": 1, "F": 1e300, "e": 2}, "default": "b"}),
    ):
        assert set(read(texts(spark, values), kind, how)[1]) == set(values)


@pytest.mark.parametrize(
    ("how", "example", "expected"),
    [
        (
            {"decimal": ",", "thousands": ".", "to": "decimal(10,2)"}, "1.234,5",
            {"1.234.567,89": "1234567.89", "1234,5": "1234.50", "-0,5": "-0.50", "+7": "7.00", ",5": "0.50",
             "−3": "-3.00",
             "1,005": "1.01", "1.5": None, "1.23,4": None, "1234.567": None, "12.345.6": None, "5,": None,
             "1,2,3": None,
             "": None, " 1": None, "1\n": None, "1e3": None, "€1": None, "1%": None, "(1)": None, "123.456.789": None,
             None: "NULL"},
        ),
        ({"thousands": " ", "to": "int"}, "1 234", {"1 234": "1234", "1\u202f234\u00a0567": "1234567", "1.0": None,
         "1  234": None, "9999999999": None}),
        ({"percent": True, "to": "decimal(6,4)"}, "1234.5", {"12.5%": "0.1250", "3 %": "0.0300", "0.5": "0.5000",
         "%": None, "5%%": None}),
        (
            {"currency": ["$", "R$", "EUR", "Fr."], "negative_parentheses": True, "to": "double"}, "1234.5",
            {"$5": "5.0", "R$ 5": "5.0", "5 EUR": "5.0", "5EUR": "5.0", "-$5": "-5.0", "$-5": "-5.0",
             "($5.25)": "-5.25",
             "(5)": "-5.0", "Fr. 7.5": "7.5", "$5$": None, "(-5)": None, "(5": None, "5)": None, "5 eur": None,
             "$": None},
        ),
    ],
)  # fmt: skip
def test_numbers_are_read_whole_or_not_at_all(
    spark: SparkSession, how: dict[str, Any], example: str, expected: dict[str | None, str | None]
) -> None:
    article = "an" if how["to"] == "int" else "a"
    wanted = f"expected {article} {how['to']} like {example}"
    sql_type, found = read(texts(spark, list(expected)), "numbers", how)
    assert sql_type == how["to"]
    assert found == {text: value or f"{COLUMN}: found {text}, {wanted}" for text, value in expected.items()}


def test_a_number_that_is_one_already_is_cast(spark: SparkSession) -> None:
    rows = spark.sql("SELECT 'x' AS given, 1.5D AS `a ``b.c` UNION ALL SELECT 'y', 2D")
    found = read(rows, "numbers", {"decimal": ",", "to": "int"})
    assert found == ("int", {"x": f"{COLUMN}: found 1.5, expected an int like 1234", "y": "2"})


@settings(max_examples=8)
@given(values=st.lists(st.decimals(-9_999_999, 9_999_999, places=2), min_size=1, max_size=40, unique=True))
def test_a_number_written_in_italian_is_read_as_it_was(spark: SparkSession, values: list[Any]) -> None:
    written = {f"{value:,.2f}".translate(str.maketrans(",.", ".,")): str(value) for value in values}
    how = {"decimal": ",", "thousands": ".", "to": "decimal(9,2)"}
    found = read(texts(spark, list(written)), "numbers", how)[1]
    assert {text: value.removeprefix("-") for text, value in found.items()} == {
        text: value.removeprefix("-") for text, value in written.items()
    }
    assert all(
        value.startswith("-") == (text.startswith("-") and set(value) - set("-0.") != set())
        for text, value in found.items()
    )


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (
            {"to": "kg", "from": {"g": 0.001, "kg": 1, "lb": 0.45359237}, "default": "kg"},
            {"12.5 lb": "5.669904625", "3kg": "3.0", "4": "4.0", "-500g": "-0.5", "1e3 g": "1.0", ".5 kg": "0.5",
             "2 KG": None, "2 st": None, "kg": None, "": None, "2 kg ": None, "1,5 kg": None, "2 kgg": None,
             "1e999 kg": None, None: "NULL"},
        ),
        ({"to": "m", "from": {"m": 1, "mm": 0.001}, "decimal": ","},
         {"1,5 m": "1.5", "250 mm": "0.25", "3": None, "1.5 m": None}),
        ({"to": "°C", "from": {"°C": 1, "m³/h": 2, "m": 3}},
         {"20 °C": "20.0", "1m³/h": "2.0", "1 m": "3.0", "1 m3": None}),
    ],
)  # fmt: skip
def test_quantities_come_to_one_unit(
    spark: SparkSession, how: dict[str, Any], expected: dict[str | None, str | None]
) -> None:
    wanted = f"expected a number in {' or '.join(how['from'])}"
    sql_type, found = read(texts(spark, list(expected)), "units", how)
    assert sql_type == "double"
    assert found == {text: value or f"{COLUMN}: found {text}, {wanted}" for text, value in expected.items()}
