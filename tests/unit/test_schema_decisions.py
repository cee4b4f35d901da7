"""Types from texts, and what becomes of a file whose columns are not those of the schema: eight cases, four modes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lakeloop.core.errors import SchemaChangedError
from lakeloop.ingestion.schemas.columns import NESTED, Column, Found, PlannedSchema, Schema
from lakeloop.ingestion.schemas.decision import decide, match, refuse
from lakeloop.ingestion.schemas.declaration import SchemaRules
from lakeloop.ingestion.schemas.inference import fits, infer_type, join_types
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.transforms import Transform, read_as_text

MODES = ("evolve", "freeze", "rescue", "fail")
KNOWN = Schema(1, "declared", (Column("id", "bigint"), Column("name", "string"), Column("at", "date")))
NAMES = ("id", "name", "at")
TYPES = ["boolean", "int", "bigint", "double", "date", "timestamp", "string", "decimal(10,2)", "decimal(21,2)", NESTED]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], "string"),
        ([None, None], "string"),
        (["1", None, "-20"], "bigint"),
        (["0"], "bigint"),
        (["00123", "4"], "string"),
        (["-0123"], "string"),
        (["+5"], "string"),
        (["9223372036854775807"], "bigint"),
        (["9223372036854775808"], "string"),
        (["1", "1.5"], "double"),
        (["1e3"], "double"),
        (["1.", ".5"], "string"),
        (["0x1F"], "string"),
        (["1_000"], "string"),
        (["NaN"], "string"),
        (["0.1234567890123456"], "string"),
        (["9007199254740993", "0.5"], "string"),
        (["true", "FALSE"], "boolean"),
        (["true", "1"], "string"),
        (["yes"], "string"),
        (["2026-02-28"], "date"),
        (["2026-02-30"], "string"),
        (["0000-01-01"], "string"),
        (["20260228"], "bigint"),
        (["2026-02-28", "2026-02-28 10:00:00"], "timestamp"),
        (["2026-02-28T10:00:00.123456+01:00", "2026-02-28T10:00:00Z"], "timestamp"),
        (["2026-02-28T25:00:00"], "string"),
        (["2026-02-28", "1"], "string"),
        ([" 1"], "string"),
        (["١"], "string"),
        (["1\n"], "string"),
    ],
)
def test_types_of_texts(texts: list[str | None], expected: str) -> None:
    assert infer_type(texts) == expected


some_texts = st.lists(
    st.none()
    | st.integers().map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(str)
    | st.dates().map(str)
    | st.datetimes().map(str)
    | st.booleans().map(str)
    | st.text(max_size=4)
)


@given(some_texts, st.randoms())
def test_the_order_of_texts_does_not_count(texts: list[str | None], random: Any) -> None:
    shuffled = random.sample(texts, len(texts))
    assert infer_type(shuffled) == infer_type(texts)


@given(some_texts, some_texts)
def test_further_texts_never_make_a_type_narrower(texts: list[str | None], more: list[str | None]) -> None:
    before, after = infer_type(texts), infer_type([*texts, *more])
    assert not any(texts) or fits(before, after)


@given(st.lists(st.sampled_from(TYPES)))
def test_a_joined_type_has_the_values_of_all(types: list[str]) -> None:
    joined = join_types(types)
    assert all(fits(each, joined) for each in types)


@pytest.mark.parametrize(
    ("found", "known", "expected"),
    [
        ("int", "bigint", True), ("bigint", "int", False), ("bigint", "double", True), ("double", "bigint", False),
        ("date", "timestamp", True), ("timestamp", "date", False), ("boolean", "string", True),
        ("string", "boolean", False), ("int", "decimal(12,2)", True), ("int", "decimal(11,2)", False),
        ("bigint", "decimal(21,2)", True), ("decimal(10,2)", "decimal(12,2)", True),
        ("decimal(10,2)", "decimal(10,3)", False), ("decimal(10,2)", "double", True), (NESTED, "bigint", False),
    ],
)  # fmt: skip
def test_which_type_fits_into_which(found: str, known: str, expected: bool) -> None:
    assert fits(found, known) is expected


def effects(found: Found, **rules: Any) -> list[tuple[str, str, str]]:
    return [(c.case, c.column, c.effect) for c in decide(KNOWN, found, SchemaRules.model_validate(rules))]


CASES: list[tuple[Found, str, str, tuple[str, str, str, str]]] = [
    (Found("f", (*NAMES, "new")), "added", "new", ("column", "quarantine", "rescue", "stop")),
    (Found("f", ("id", "name")), "dropped", "at", ("null", "quarantine", "mark", "stop")),
    (Found("f", NAMES, {"id": "double"}), "widened", "id", ("quarantine", "quarantine", "rescue", "stop")),
    (Found("f", NAMES, {"at": "timestamp"}), "widened", "at", ("quarantine", "quarantine", "rescue", "stop")),
    (Found("f", NAMES, {"id": "int"}), "narrowed", "id", ("none",) * 4),
    (Found("f", ("at", "id", "name")), "reordered", "", ("none",) * 4),
    (Found("f", ("Id", "name", "at")), "case", "id", ("none",) * 4),
    (Found("f", NAMES, {"name": NESTED}), "nested", "name", ("text",) * 4),
    (Found("f", NAMES, {"id": NESTED}), "nested", "id", ("quarantine", "quarantine", "rescue", "stop")),
]


@pytest.mark.parametrize(("found", "case", "column", "expected"), CASES)
def test_the_table_of_decisions(found: Found, case: str, column: str, expected: tuple[str, ...]) -> None:
    for mode, effect in zip(MODES, expected, strict=True):
        assert effects(found, evolution=mode) == [(case, column, effect)]
        assert effects(found, columns={column: mode}) == [(case, column, effect if column else "none")]
        assert effects(found, columns={column.upper(): mode}) == [(case, column, effect if column else "none")]


def test_nothing_differs_in_what_is_equal_or_only_text() -> None:
    assert effects(Found("f", NAMES)) == []
    assert effects(Found("f", NAMES, {"id": "bigint", "name": "date", "at": "date"})) == []
    assert effects(Found("f", ("at", "id", "name"), for_all_rows=False)) == []  # keys of objects
    assert effects(Found("f", ("id",), for_all_rows=False, is_whole=False)) == []  # more records may have the others


def test_a_column_that_no_table_can_have_is_rescued() -> None:
    assert effects(Found("f", (*NAMES, "a b", "_x")), evolution="evolve") == [
        ("added", "a b", "rescue"),
        ("added", "_x", "rescue"),
    ]


@pytest.mark.parametrize(
    ("names", "types", "proposed"),
    [
        (("id", "full_name", "at"), {}, "full_name"),
        (("id", "at", "nmae", "other"), {}, "nmae"),
        (("id", "label", "at"), {}, "label"),
        (("id", "label", "at"), {"label": "bigint"}, None),
        (("id", "at", "label"), {}, None),
    ],
)
def test_a_rename_is_proposed_by_place_or_name(names: Any, types: Any, proposed: str | None) -> None:
    details = [c.detail for c in decide(KNOWN, Found("f", names, types), SchemaRules()) if c.case != "reordered"]
    proposal = f"if '{proposed}' is the new name of 'name', declare renames: {{name: {proposed}}}"
    assert sum(proposal in detail for detail in details) == (2 if proposed else 0)
    assert sum("renames" in detail for detail in details) == (2 if proposed else 0)


def test_records_may_write_a_key_in_several_cases() -> None:
    found = Found("f", ("id", "ID", "name", "Name", "at", "other"), for_all_rows=False)
    assert [(change.case, change.column) for change in decide(KNOWN, found, SchemaRules())] == [("added", "other")]


def test_a_key_without_characters_is_no_column() -> None:
    found = Found("f", ("", "id", "name"), for_all_rows=False)
    assert match(KNOWN.columns, found.names, SchemaRules()) == {"id": "id", "name": "name"}


def test_a_declared_rename_is_the_column() -> None:
    rules = {"renames": {"name": "Label"}, "evolution": "fail"}
    assert effects(Found("f", ("id", "label", "at")), **rules) == [("renamed", "name", "none")]
    both = effects(Found("f", (*NAMES, "label")), **rules)
    assert both == [("added", "label", "stop")]


def test_what_stops_a_run_names_file_and_column() -> None:
    changes = decide(KNOWN, Found("drop/f.csv", ("id", "name", "at", "x")), SchemaRules(evolution="fail"))
    with pytest.raises(SchemaChangedError, match=r"^drop/f\.csv has a column 'x' that the schema does not know; "):
        refuse(changes)
    refuse(decide(KNOWN, Found("f", ("id",)), SchemaRules(evolution="freeze")))


def test_a_planned_schema_survives_json() -> None:
    planned = PlannedSchema(KNOWN, (KNOWN,), {"id": ("ID",)}, {"f": ("at",)}, {"at": "on"}, (("dropped", "at", "…"),))
    assert PlannedSchema.of_json(planned.as_json) == planned
    assert planned.as_json["version"] == 1


def source(**declared: Any) -> FilesSource:
    return FilesSource.model_validate({"files": "drop", "formats": {"csv": {}}, **declared})


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"fields": {"a": "bigin"}}, "did you mean 'bigint'"),
        ({"fields": {"a": "int", "A": "int"}}, "a field stands twice"),
        ({"fields": ["a"], "schema": {"renames": {"b": "c"}}}, "no field 'b' is declared"),
        ({"schema": {"renames": {"a": "c", "b": "C"}}}, "is the new name of two columns"),
        ({"schema": {"evolution": "merge"}}, "Input should be 'evolve', 'freeze', 'rescue' or 'fail'"),
        ({"schema": {"evolutions": "fail"}}, "did you mean 'evolution'"),
    ],
)
def test_declarations_that_are_refused(declared: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        source(**declared)


def test_fields_are_names_or_types_or_nothing() -> None:
    assert source().fields is None
    assert source(fields=["a"]).fields == ["a"]
    assert source(fields={"a": "decimal(10,2)"}).fields == {"a": "decimal(10,2)"}
    rules = source().schema_rules
    assert (rules.mode_of_known("a"), rules.mode_of_new("a"), rules.is_declared("a")) == ("freeze", "rescue", False)


def test_columns_that_transforms_read_as_text_have_the_names_of_the_source() -> None:
    declared = [
        {"trim": ["a"]},
        {"rename": {"b": "c"}},
        {"cast": {"c": "decimal(10,2)"}},
        {"split": {"d": {"separator": "|", "into": ["e", "f"]}}},
        {"impute": {"g": "median"}},
    ]
    assert read_as_text([Transform.model_validate(each) for each in declared]) == {"a", "b", "d"}
