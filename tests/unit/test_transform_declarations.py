"""Transforms as declared: what is refused without Spark, and in which words."""

import unicodedata
from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop.ingestion.transforms import Transform, declared_types
from lakeloop.ingestion.transforms.dates import DateNotation
from lakeloop.ingestion.transforms.missing import Filling
from lakeloop.ingestion.transforms.outliers import Outlying
from lakeloop.ingestion.transforms.text import FIRST_CHANGED


def refusal(kind: str, parameters: Any) -> str:
    with pytest.raises(ValidationError) as refused:
        Transform.model_validate({kind: parameters})
    return "; ".join(error["msg"] for error in refused.value.errors())


DATE = {"to": "date"}
NUMBER = {"to": "double"}
SURVIVE = {"keys": ["id"], "from": "origin", "otherwise": "longest"}


@pytest.mark.parametrize(
    ("kind", "parameters", "words"),
    [
        ("trimm", ["a"], ["unknown transform 'trimm'", "did you mean 'trim'"]),
        ("trim", None, ["trim says nothing"]),
        ("trim", [], ["at least 1"]),
        ("trim", ["a", "b", "a"], ["a stands twice"]),
        ("cast", {}, ["at least 1"]),
        ("normalise", {"a": {}}, ["one of unicode, case, white_space"]),
        ("normalise", {"a": {"unicode": "NFX"}}, ["'NFX' is no Unicode form", "did you mean 'NF"]),
        ("normalise", {"a": {"case": "titel"}}, ["did you mean 'title'"]),
        ("normalise", {"a": {"white_space": "strip"}}, ["'strip'", "collapse"]),
        ("normalise", {"a": {"cases": "lower"}}, ["did you mean 'case'"]),
        ("repair", {"a": []}, ["at least 1"]),
        ("repair", {"a": ["mojibak"]}, ["did you mean 'mojibake'"]),
        ("repair", {"a": ["quotes", "quotes"]}, ["quotes stands twice"]),
        ("dates", {"a": {**DATE, "formats": []}}, ["at least 1"]),
        ("dates", {"a": {"to": "time", "formats": ["yyyy-MM-dd"]}}, ["'time' is no kind of date", "timestamp"]),
        ("dates", {"a": {**DATE, "formats": ["yyyy-MM-DD"]}}, ["'DD'", "did you mean 'dd'"]),
        ("dates", {"a": {**DATE, "formats": ["YYYY-MM-dd"]}}, ["'YYYY'", "did you mean 'yyyy'"]),
        ("dates", {"a": {**DATE, "formats": ["y-MM-dd"]}}, ["'y' in 'y-MM-dd'", "yyyy"]),
        ("dates", {"a": {**DATE, "formats": ["yyyy-mm-dd"]}}, ["does not name a day; MM is missing"]),
        ("dates", {"a": {**DATE, "formats": ["dd.MM.yyyy dd"]}}, ["'d' stands twice"]),
        ("dates", {"a": {**DATE, "formats": ["dd.MM.yyyyThh:mm a"]}}, ["'T'"]),
        ("dates", {"a": {**DATE, "formats": ["dd.MM.yyyy hh:mm"]}}, ["hh counts to twelve"]),
        ("dates", {"a": {**DATE, "formats": ["dd.MM.yyyy 'um"]}}, ["'um"]),
        ("dates", {"a": {**DATE, "formats": ["dd.MM.yyyy[ HH:mm"]}}, ["not closed"]),
        ("dates", {"a": {**DATE, "formats": ["{dd.MM.yyyy}"]}}, ["between single quotes"]),
        ("dates", {"a": {**DATE, "formats": ["dd.MM.yyyy"], "time_zone": "UTC"}}, ["a date has no time zone"]),
        ("dates", {"a": {**DATE, "formats": ["yyyy-MM-dd HH:mmX"]}}, ["a date has no time zone"]),
        ("dates", {"a": {"to": "timestamp", "formats": ["dd.MM.yyyy"], "time_zone": "Roma"}}, ["'Roma' is no time"]),
        ("numbers", {"a": {}}, ["required"]),
        ("numbers", {"a": {"to": "date"}}, ["'date' is no type of a number", "decimal(10,2)"]),
        ("numbers", {"a": {**NUMBER, "decimal": ",,"}}, ["one character"]),
        ("numbers", {"a": {**NUMBER, "thousands": "0"}}, ["'0' cannot part"]),
        ("numbers", {"a": {**NUMBER, "thousands": "."}}, ["cannot be the same"]),
        ("numbers", {"a": {"to": "int", "percent": True}}, ["a percentage is a fraction"]),
        ("numbers", {"a": {**NUMBER, "currency": []}}, ["at least 1"]),
        ("numbers", {"a": {**NUMBER, "currency": ["%"]}}, ["'%' cannot stand for a currency"]),
        ("units", {"a": {"to": "kg", "from": {}}}, ["at least 1"]),
        ("units", {"a": {"to": "kgs", "from": {"kg": 1}}}, ["unknown unit 'kgs'", "did you mean 'kg'"]),
        ("units", {"a": {"to": "kg", "from": {"kg": 1}, "default": "g"}}, ["unknown unit 'g'"]),
        ("units", {"a": {"to": "kg", "from": {"kg": 2}}}, ["one kg is 1 kg"]),
        ("units", {"a": {"to": "kg", "from": {"kg": 1, "g": 0}}}, ["greater than zero"]),
        ("units", {"a": {"to": "kg", "from": {"kg": 1, "2": 1}}}, ["'2' is no name of a unit"]),
        ("units", {"a": {"to": "kg", "form": {"kg": 1}}}, ["unknown key 'form'", "did you mean 'from'"]),
        ("split", {"a": {"separator": "", "into": ["b", "c"]}}, ["at least 1 character"]),
        ("split", {"a": {"separator": ",", "into": ["b"]}}, ["at least 2"]),
        ("split", {"a": {"separator": ",", "into": ["b", "_c"]}}, ["pattern"]),
        ("split", {"a": {"separator": ",", "into": ["b", "B"]}}, ["twice"]),
        ("rename", {"a": "_b"}, ["pattern"]),
        ("map", {"a": {"values": {}, "otherwise": "keep"}}, ["at least 1"]),
        ("map", {"a": {"values": {"x": "y"}}}, ["required"]),
        ("map", {"a": {"values": {"x": "y"}, "otherwise": "kep"}}, ["did you mean 'keep'"]),
        ("map", {"a": {"values": {"x": ["y"]}, "otherwise": "keep"}}, ["is no word"]),
        ("dedupe", {"keys": []}, ["at least 1"]),
        ("dedupe", {"keys": ["a"], "against": "tabel"}, ["did you mean 'table'"]),
        ("survive", {**SURVIVE, "otherwise": "longst"}, ["unknown way to choose 'longst'", "did you mean 'longest'"]),
        ("survive", {**SURVIVE, "otherwise": {"prefers": ["crm"]}}, ["did you mean 'prefer'"]),
        ("survive", {**SURVIVE, "otherwise": {"prefer": []}}, ["at least 1"]),
        ("survive", {**SURVIVE, "otherwise": {"prefer": ["crm"], "latest_by": "at"}}, ["chosen in one way"]),
        ("survive", {**SURVIVE, "otherwise": {}}, ["chosen in one way"]),
        ("survive", {"keys": ["id"], "from": "origin"}, ["required"]),
        ("survive", {"keys": ["id"], "form": "origin"}, ["unknown key 'form'", "did you mean 'from'"]),
        ("survive", {**SURVIVE, "keys": ["id", "origin"]}, ["`from` is no part of it"]),
        ("survive", {**SURVIVE, "columns": {"id": "longest"}}, ["id: no two rows are merged by what tells them apart"]),
        ("survive", {**SURVIVE, "report": ["a", "origin"]}, ["origin: no two rows"]),
        ("survive", {**SURVIVE, "report": ["a", "a"]}, ["a stands twice"]),
        ("impute", {"a": "medain"}, ["'medain'", "did you mean 'median'"]),
        ("impute", {"a": {"avg": {}}}, ["'avg'"]),
        ("impute", {"a": {}}, ["filled in one way"]),
        ("impute", {"a": "constant"}, ["filled in one way"]),
        ("impute", {"a": {"constant": 1, "mean": {}}}, ["filled in one way"]),
        ("impute", {"a": {"mean": {"by": []}}}, ["at least 1"]),
        ("impute", {"a": {"forward_fill": {"by": ["b"]}}}, ["required"]),
        ("impute", {"a": 7}, ["filled in one way"]),
        ("outliers", {"a": {"method": "irq", "limit": 1, "action": "flag"}}, ["did you mean 'iqr'"]),
        ("outliers", {"a": {"method": "iqr", "limit": 1, "action": "drop"}}, ["'drop' is no action", "quarantine"]),
        ("outliers", {"a": {"method": "iqr", "limit": 0, "action": "flag"}}, ["greater than 0"]),
        ("outliers", {"a": {"method": "iqr", "action": "flag"}}, ["required"]),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(kind: str, parameters: Any, words: list[str]) -> None:
    said = refusal(kind, parameters)
    assert all(word in said for word in words), said


@pytest.mark.parametrize(
    "text",
    [
        "yyyy-MM-dd", "d.M.yy", "dd MMM yyyy", "MMMM d, yyyy", "yyyyMMdd", "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
        "M/d/yyyy h:mm a", "dd.MM.yyyy[ HH:mm[:ss]]", "yyyy-MM-dd HH:mm VV", "dd 'of' MMMM yyyy 'o''clock'",
    ],
)  # fmt: skip
def test_formats_that_name_a_day_are_accepted(text: str) -> None:
    assert DateNotation.model_validate({"formats": [text], "to": "timestamp"}).formats == [text]


@pytest.mark.parametrize("way", ["mean", "median", "mode"])
def test_a_figure_is_declared_in_three_ways(way: str) -> None:
    short, long, bare = (Filling.model_validate(value) for value in (way, {way: {}}, {way: None}))
    assert short == long == bare
    assert short.figure is not None
    assert (short.figure[0], short.figure[1].by) == (way, None)


@pytest.mark.parametrize("constant", [0, False, "", 0.0])
def test_a_constant_may_be_nothing_much(constant: Any) -> None:
    assert Filling.model_validate({"constant": constant}).constant is constant


def test_words_are_taken_as_yaml_gives_them() -> None:
    step = Transform.model_validate({"map": {"a": {"values": {"x": True, "y": 1, "z": None}, "otherwise": None}}}).map
    assert step is not None
    assert (step.root["a"].values, step.root["a"].otherwise) == ({"x": "true", "y": "1", "z": None}, "null")


@pytest.mark.parametrize("form", FIRST_CHANGED)
def test_no_text_below_the_first_changed_character_is_changed(form: Any) -> None:
    untouched = [chr(code) for code in range(FIRST_CHANGED[form])]
    assert all(unicodedata.normalize(form, a + b) == a + b for a in untouched for b in untouched)
    assert unicodedata.normalize(form, f"e{chr(FIRST_CHANGED[form])}") != f"e{chr(FIRST_CHANGED[form])}"


@pytest.mark.parametrize(
    ("method", "figures", "bounds"),
    [
        ("iqr", (2.0, 4.0), (-2.0, 8.0)),
        ("zscore", (10.0, 1.5), (7.0, 13.0)),
        ("mad", (10.0, 1.0), (10 - 2 * 1.4826, 10 + 2 * 1.4826)),
        ("iqr", (3.0, 3.0), None),
        ("zscore", (3.0, 0.0), None),
        ("zscore", (3.0, None), None),
        ("mad", (3.0, 0.0), None),
        ("iqr", (None, None), None),
    ],
)
def test_bounds_by_hand(method: str, figures: tuple[float | None, ...], bounds: tuple[float, float] | None) -> None:
    assert Outlying.model_validate({"method": method, "limit": 2, "action": "flag"}).bounds(figures) == bounds


def test_declared_types_follow_a_column_to_its_new_name() -> None:
    declared = [
        {"cast": {"a": "int"}},
        {"dates": {"b": {"formats": ["yyyy-MM-dd"], "to": "date"}}},
        {"numbers": {"c": {"to": "decimal(10,2)"}}},
        {"units": {"d": {"to": "m", "from": {"m": 1}}}},
        {"rename": {"a": "z", "d": "e"}},
        {"cast": {"c": "double"}},
    ]
    found = declared_types([Transform.model_validate(entry) for entry in declared])
    assert found == {"z": "int", "b": "date", "c": "double", "e": "double"}
