"""`trim`, `normalise` and `repair` on any text: the laws that they keep, against Python's own tables."""

import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakeloop.ingestion.transforms import Conformed, Transform, conform
from lakeloop.ingestion.transforms.text import WHITE_SPACE

ANY = st.text(st.characters(codec="utf-8"), max_size=12)
# Damage of every kind is likely in these: marks that compose, bytes of UTF-8 as characters, entities, quotes, blanks.
DAMAGED = st.text(
    "aZ ßÃ¼Â©â‚¬ƒ\u0308\u0301\u00a0\u2003\ufeff\u1100\u1161\uac00\ufb01ϴΐΣİſ\x00\x85\t\n&;#x2amplt“’«", max_size=14
)
TEXTS = st.lists(st.none() | ANY | DAMAGED, min_size=1, max_size=40)


def apply(spark: SparkSession, values: list[str | None], *declared: dict[str, Any]) -> list[str | None]:
    rows = spark.createDataFrame(list(enumerate(values)), "n int, `a ``b` string").coalesce(1)
    conformed = conform(Conformed(rows), [Transform.model_validate(entry) for entry in declared])
    assert conformed.findings == ()
    return [row[1] for row in sorted(conformed.frame.select("n", "`a ``b`").collect())]


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@settings(max_examples=5)
@given(values=TEXTS)
def test_unicode_forms_are_those_of_the_standard(spark: SparkSession, form: Any, values: list[str | None]) -> None:
    expected = [value if value is None else unicodedata.normalize(form, value) for value in values]
    assert apply(spark, values, {"normalise": {"a `b": {"unicode": form}}}) == expected


@pytest.mark.parametrize(
    "step",
    [
        {"trim": ["a `b"]},
        {"normalise": {"a `b": {"unicode": "NFC", "case": "upper"}}},
        {"normalise": {"a `b": {"unicode": "NFKC", "case": "lower", "white_space": "collapse"}}},
        {"normalise": {"a `b": {"unicode": "NFD", "case": "title"}}},
        *({"repair": {"a `b": [kind]}} for kind in ("mojibake", "control_characters", "html_entities", "quotes")),
    ],
    ids=str,
)
@settings(max_examples=8)
@given(values=TEXTS)
def test_done_again_it_changes_nothing(spark: SparkSession, step: dict[str, Any], values: list[str | None]) -> None:
    once = apply(spark, values, step)
    assert apply(spark, once, step) == once
    if "trim" in step:
        assert once == [(value or "").strip(WHITE_SPACE) or None for value in values]
    else:
        assert [value is None for value in once] == [value is None for value in values]


@settings(max_examples=8)
@given(values=st.lists(ANY.filter(lambda text: not text.isascii()), min_size=1, max_size=40))
def test_every_misreading_is_undone(spark: SparkSession, values: list[str]) -> None:
    """Of texts that are none themselves, as read by Latin-1; a misreading by Windows-1252 has no byte of five."""
    step = {"repair": {"a `b": ["mojibake"]}}
    sound = [value for value, left in zip(values, apply(spark, [*values], step), strict=True) if left == value]
    assert apply(spark, [value.encode().decode("latin-1") for value in sound], step) == sound


@pytest.mark.parametrize(
    ("text", "repaired"),
    [
        ("Ã¼", "ü"),
        ("\u00c3\u00bc\u00e2\u201a\u00ac", "ü€"),
        ("Ã", "Ã"),  # a byte that begins a character, and nothing behind it
        ("Ã¼ü", "Ã¼ü"),
        ("Ã¼ Ω", "Ã¼ Ω"),
        ("plain", "plain"),
        ("\u00ed\u00a0\u0080", "\u00ed\u00a0\u0080"),  # a surrogate is no character
        ("\u00c0\u00af", "\u00c0\u00af"),  # nor is an overlong slash
        ("ü".encode().decode("cp1252").encode().decode("cp1252"), "ü"),
        ("x" * 40_000 + "Ã¼", "x" * 40_000 + "ü"),
    ],
)
def test_only_whole_misreadings_are_read_again(spark: SparkSession, text: str, repaired: str) -> None:
    assert apply(spark, [text], {"repair": {"a `b": ["mojibake"]}}) == [repaired]


def test_three_misreadings_are_left_for_somebody_to_see(spark: SparkSession) -> None:
    text = "ü"
    for _ in range(3):
        text = text.encode().decode("latin-1")
    assert apply(spark, [text], {"repair": {"a `b": ["mojibake"]}}) == [text]


def test_entities_that_html_knows_and_no_others(spark: SparkSession) -> None:
    given_ = [
        "&eacute;&#233;&#xe9;",
        "&amp;amp;lt;",
        "&para=1",
        "&nosuch;",
        "AT&T;",
        "&#0;",
        "&#150;",
        "&#1114112;",
        None,
    ]
    expected = ["ééé", "<", "&para=1", "&nosuch;", "AT&T;", "\ufffd", "–", "\ufffd", None]
    assert apply(spark, given_, {"repair": {"a `b": ["html_entities"]}}) == expected


def test_repairs_go_in_the_declared_order(spark: SparkSession) -> None:
    text = ["&ldquo;\x07&rdquo;"]
    assert apply(spark, text, {"repair": {"a `b": ["quotes", "html_entities"]}}) == ["“\x07”"]
    assert apply(spark, text, {"repair": {"a `b": ["html_entities", "quotes", "control_characters"]}}) == ['""']


def test_only_texts_that_a_form_may_change_reach_python(spark: SparkSession) -> None:
    """Seen by what the function is given: NULL where there is nothing to do."""
    rows = spark.createDataFrame([("Zürich",), ("Zu\u0308rich",), ("Rome",)], "a string").coalesce(1)
    step = Transform.model_validate({"normalise": {"a": {"unicode": "NFC"}}})
    plan = conform(Conformed(rows), [step]).frame._jdf.queryExecution().optimizedPlan().toString()
    assert plan.count("ArrowEvalPython") == 1
    assert "RLIKE" in plan
    may_change = F.col("a").rlike(r"[^\x00-\x{2ff}]")
    assert [row[0] for row in rows.where(may_change).collect()] == ["Zu\u0308rich"]


def test_a_case_needs_no_python(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("x",)], "a string")
    step = Transform.model_validate({"normalise": {"a": {"case": "lower", "white_space": "collapse"}}})
    assert "Python" not in conform(Conformed(rows), [step]).frame._jdf.queryExecution().optimizedPlan().toString()
