import copy
import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop.core.config import Project
from lakeloop.core.documents import Document
from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.quality import Rule, rules_version
from lakeloop.quality.rule import KINDS
from lakeloop.verbs import validate


def rule(value: Any) -> Rule:
    return Rule.model_validate(value)


def refusal(value: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        rule(value)
    (error,) = caught.value.errors()
    return str(error["msg"])


@pytest.mark.parametrize(
    ("declared", "name", "columns", "parameters"),
    [
        ({"is_not_null": "a"}, "a_is_not_null", ("a",), {"column": "a"}),
        ({"is_not_blank": {"column": "a"}}, "a_is_not_blank", ("a",), {"column": "a"}),
        (
            {"is_in_range": {"column": "a", "min": 0}},
            "a_is_in_range",
            ("a",),
            {"column": "a", "min": 0, "max": None, "above": None, "below": None},
        ),
        ({"is_unique": "a"}, "a_is_unique", ("a",), {"columns": ["a"]}),
        ({"is_unique": ["a", "b"]}, "a_b_is_unique", ("a", "b"), {"columns": ["a", "b"]}),
        (
            {"references": {"columns": ["a", "b"], "table": "silver.x", "name": "known"}},
            "known",
            ("a", "b"),
            {"columns": ["a", "b"], "table": "silver.x", "keys": None},
        ),
    ],
)
def test_a_rule_gets_its_name_columns_and_defaults(
    declared: Any, name: str, columns: tuple[str, ...], parameters: dict[str, Any]
) -> None:
    found = rule(declared)
    assert (found.name, found.columns, found.parameters) == (name, columns, parameters)
    assert (found.severity, found.filter, found.owner, found.description) == ("error", None, None, None)


def test_a_rule_carries_its_options() -> None:
    options = {"name": "n", "severity": "warn", "filter": "a > 1", "owner": "o", "description": "d"}
    found = rule({"is_not_null": {"column": "a", **options}})
    assert {key: getattr(found, key) for key in options} == options
    assert found.parameters == {"column": "a"}


def test_a_declaration_is_not_changed_and_a_rule_can_be_given_as_it_is() -> None:
    declared = {"is_in": {"column": "a", "values": [1], "severity": "warn"}}
    before = copy.deepcopy(declared)
    found = rule(declared)
    assert declared == before
    assert rule(found) is found


def test_only_references_reads_another_table() -> None:
    assert rule({"references": {"columns": ["a"], "table": "silver.x"}}).table == "silver.x"
    assert rule({"is_unique": "a"}).table is None


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("is_not_null", "a rule is one entry 'kind: column' or 'kind: {column: …, …}'"),
        ({}, "a rule is one entry 'kind: column' or 'kind: {column: …, …}'"),
        ({"is_not_null": "a", "is_unique": "a"}, "a rule is one entry 'kind: column' or 'kind: {column: …, …}'"),
        (
            {"is_notnull": "a"},
            f"unknown rule 'is_notnull'; did you mean 'is_not_null'? Allowed: {', '.join(sorted(KINDS))}",
        ),
        ({1: "a"}, f"unknown rule '1'; Allowed: {', '.join(sorted(KINDS))}"),
        ({"is_not_null": None}, "is_not_null: column: Input should be a valid string"),
        ({"is_not_null": ["a", "b"]}, "is_not_null: column: Input should be a valid string"),
        ({"is_in_range": {"min": 0}}, "is_in_range: column: Field required"),
        ({"is_in_range": {"column": "a", "min": "low"}}, "is_in_range: min: a number is needed here"),
        ({"is_in_range": {"column": "a", "min": 10**400}}, "is_in_range: min: a number is needed here"),
        ({"is_in_range": {"column": "a", "max": float("nan")}}, "is_in_range: max: a number is needed here"),
        ({"matches": "a"}, "matches: pattern: Field required"),
        ({"is_in": {"column": "a", "values": "x"}}, "is_in: values: Input should be a valid list"),
        ({"is_unique": []}, "is_unique: columns: List should have at least 1 item"),
        ({"is_in": {"column": "a", "values": []}}, "is_in: values: List should have at least 1 item"),
        (
            {"references": {"columns": ["a"], "table": "silver.x", "keys": ["a", "b"]}},
            "references: keys and columns are as many",
        ),
        (
            {"references": {"columns": ["a", "b"], "table": "silver.x", "keys": ["a"]}},
            "references: keys and columns are as many",
        ),
        ({"is_unique": {"columns": ["a"], "counted": "x"}}, "unknown key of is_unique 'counted'; "),
        ({"is_unique": {"columns": ["a"], "frame": "x"}}, "unknown key of is_unique 'frame'; "),
    ],
)
def test_a_wrong_rule_is_refused(declared: Any, message: str) -> None:
    assert refusal(declared).startswith(message)


def test_an_unknown_key_proposes_parameters_and_options_alike() -> None:
    allowed = "Allowed: above, at_most, below, column, description, filter, max, min, name, owner, severity, tags"
    assert refusal({"is_in_range": {"column": "a", "mni": 0}}) == (
        f"unknown key of is_in_range 'mni'; did you mean 'min'? {allowed}"
    )
    assert refusal({"is_in_range": {"column": "a", "sevrity": "warn"}}) == (
        f"unknown key of is_in_range 'sevrity'; did you mean 'severity'? {allowed}"
    )


def test_a_severity_is_one_of_four() -> None:
    assert refusal({"is_not_null": {"column": "a", "severity": "fatal"}}) == (
        "Input should be 'error', 'warn', 'drop' or 'fail'"
    )


def test_a_wrong_rule_in_a_file_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "p.yml"
    file.write_text(
        "pipeline: p\ndescription: d\nsource: {jdbc: c, table: t}\nsink: {table: silver.p}\n"
        "rules:\n  - is_not_null: a\n  - is_in_range:\n      column: a\n      mni: 0\n"
        "  - is_not_null: {column: a, severity: fatal}\n"
    )
    with pytest.raises(ConfigError) as caught:
        Document.load(file).parse(PipelineSpec)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{file}:7: unknown key of is_in_range 'mni'")
    assert second.startswith(f"{file}:10: rules.2.severity: Input should be")


BASE = {
    "is_in_range": {"column": "a", "min": 0, "max": 9, "severity": "warn", "filter": "b", "owner": "o", "name": "n"}
}


@pytest.mark.parametrize(
    ("key", "value"),
    [("column", "c"), ("min", 1), ("max", None), ("severity", "fail"), ("filter", "c"), ("owner", "p"), ("name", "m")],
)
def test_the_version_changes_with_every_part_of_a_rule(key: str, value: Any) -> None:
    changed = {"is_in_range": {**BASE["is_in_range"], key: value}}
    assert rules_version([rule(BASE)]) != rules_version([rule(changed)])


def test_the_version_is_the_same_for_the_same_rules() -> None:
    reordered = {"is_in_range": dict(reversed(BASE["is_in_range"].items()))}
    assert rules_version([rule(BASE)]) == rules_version([rule(reordered)])
    assert rules_version([rule({"is_not_null": "a"})]) == rules_version([rule({"is_not_null": {"column": "a"}})])
    assert rules_version([]) != rules_version([rule(BASE)])
    assert len(rules_version([rule({"is_in": {"column": "a", "values": [dt.date(2026, 1, 1), 1.5, True]}})])) == 12


def test_a_column_that_no_row_will_have_is_told_where_the_source_says_what_arrives(tmp_path: Path) -> None:
    (tmp_path / "conf/base/pipelines").mkdir(parents=True)
    (tmp_path / "conf/local").mkdir()
    (tmp_path / "conf/base/platform.yml").write_text(f"lake: {tmp_path}/lake\n")
    (tmp_path / "conf/base/connections.yml").write_text(f"drop: {{files: {{path: {tmp_path}}}}}\n")
    file = tmp_path / "conf/base/pipelines/p.yml"
    file.write_text(
        "pipeline: p\ndescription: d\nsource: {files: drop, formats: {csv: {}}, fields: [id, amount]}\n"
        "transforms:\n  - rename: {amount: paid}\nsink: {table: silver.p}\n"
        "rules:\n  - is_not_null: ID\n  - is_in_range: {column: paid, min: 0}\n  - is_not_null: amount\n"
        "  - when:\n      condition: paid > 0\n      rules:\n        - is_not_null: id\n"
        "        - is_not_null: {column: paid, filter: \"country = 'DE'\"}\n"
    )
    told = "no column '{}' arrives or is made; declare it in the source, or name another one. Allowed: id, paid"
    assert validate(Project(tmp_path / "conf", "local"), secrets=False) == [
        f"{file}:10: rule amount_is_not_null: {told.format('amount')}",
        f"{file}:15: rule paid_is_not_null: {told.format('country')}",
    ]
