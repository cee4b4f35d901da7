"""Data contracts: valid by the standard's own schema, back to equal rules, nothing dropped without a word."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from lakeloop.catalog.contracts import contract_of, pipeline_part
from lakeloop.catalog.contracts.declarations import declaration_of
from lakeloop.catalog.contracts.quality_entries import entry_of, rule_of
from lakeloop.cli import app
from lakeloop.core.documents import Document
from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.quality import Rule
from tests.small_lake import write_lake

SCHEMA = json.loads((Path(__file__).parent / "odcs/odcs-json-schema-v3.1.0.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft201909Validator(SCHEMA)

RULES: list[dict[str, Any]] = [
    {"is_not_null": {"column": "id"}},
    {"is_not_null": {"column": "email", "severity": "warn", "filter": "country = 'DE'", "owner": "crm-team"}},
    {"is_unique": {"columns": ["id"]}},
    {"is_unique": {"columns": ["country", "email"], "name": "one_address_per_country", "severity": "fail"}},
    {"is_in": {"column": "country", "values": ["DE", "NO", "1"], "description": "ISO 3166"}},
    {"matches": {"column": "id", "pattern": r"[0-9]{4}-[A-Z]{5}|x\.y"}},
    {"is_in_range": {"column": "amount", "min": 0, "max": 10.5}},
    {"has_length": {"column": "email", "max": 200}},
    {"is_not_ahead": {"column": "at", "by": "1d"}},
    {"is_not_blank": {"column": "email", "name": "address"}},
    {"references": {"columns": ["country"], "table": "silver.countries", "keys": ["code"]}},
    {"is_not_null": {"column": "n", "severity": "warn"}},
    {"occurs_at_most": {"columns": ["country"], "times": 5}},
]
COLUMNS = pa.schema([
    ("id", pa.string()), ("email", pa.string()), ("country", pa.string()), ("amount", pa.float64()),
    ("at", pa.timestamp("us", "UTC")), ("tags", pa.list_(pa.string())), ("day", pa.date32()), ("n", pa.int32()),
    ("ok", pa.bool_()), ("more", pa.struct([("a", pa.int64())])), ("raw", pa.binary()), ("cost", pa.decimal128(10, 2)),
])  # fmt: skip


def a_pipeline(**changes: Any) -> PipelineSpec:
    declared = {
        "pipeline": "customers",
        "description": "Customers, one row each",
        "owner": "crm-team",
        "tags": ["telco"],
        "source": {"files": "drop", "formats": {"csv": {}}, "expect": {"every": "1d", "grace": "6h"}},
        "rules": RULES,
        "sink": {"table": "silver.customers", "mode": "merge", "keys": ["id"]},
        "columns": {
            "email": {"tags": ["pii"], "mask": "partial", "description": "Contact"},
            "country": {"tags": ["iso"]},
        },
        "keep": {"days": 730, "by": "at"},
    }
    return PipelineSpec.model_validate(declared | changes)


def as_document(contract: dict[str, Any], tmp_path: Path) -> Document:
    file = tmp_path / "contract.odcs.yaml"
    file.write_text(yaml.safe_dump(contract, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return Document.load(file)


@pytest.mark.parametrize("schemas", [{}, {"silver.customers": COLUMNS}], ids=["no table yet", "a table"])
def test_a_contract_is_valid_and_comes_back_as_equal_rules(schemas: dict[str, pa.Schema], tmp_path: Path) -> None:
    spec = a_pipeline()
    contract = contract_of(spec, schemas)
    VALIDATOR.validate(contract)
    part = yaml.safe_load(pipeline_part(as_document(contract, tmp_path)))
    back = [Rule.model_validate(each) for each in part["rules"]]
    assert sorted(back, key=lambda rule: rule.name) == sorted(spec.rules, key=lambda rule: rule.name)
    again = a_pipeline(columns=part["columns"])
    assert again.columns == spec.columns
    assert {key: part[key] for key in ("description", "owner", "tags")} == {
        "description": "Customers, one row each", "owner": "crm-team", "tags": ["telco"],
    }  # fmt: skip


def test_a_contract_says_what_a_reader_without_lakeloop_can_use() -> None:
    contract = contract_of(a_pipeline(), {"silver.customers": COLUMNS}, "2.0.0")
    (table,) = contract["schema"]
    columns = {each["name"]: each for each in table["properties"]}
    assert [contract["version"], contract["team"], contract["apiVersion"]] == ["2.0.0", {"name": "crm-team"}, "v3.1.0"]
    assert columns["id"]["primaryKey"] is columns["id"]["required"] is True
    assert "required" not in columns["email"]  # it is only warned of, and only for one country
    assert columns["id"]["quality"][0] == {"metric": "nullValues", "mustBe": 0, "severity": "error"}
    assert columns["id"]["quality"][2]["arguments"] == {"pattern": r"^(?:[0-9]{4}-[A-Z]{5}|x\.y)$"}
    assert "required" not in columns["n"]
    assert columns["country"]["quality"][0]["arguments"] == {"validValues": ["DE", "NO", "1"]}
    assert table["quality"][0]["arguments"] == {"properties": ["country", "email"]}
    types = {name: column["logicalType"] for name, column in columns.items()}
    assert types == {
        "id": "string", "email": "string", "country": "string", "amount": "number", "at": "timestamp", "tags": "array",
        "day": "date", "n": "integer", "ok": "boolean", "more": "object", "raw": "string", "cost": "number",
    }  # fmt: skip
    assert {name: column["physicalType"] for name, column in columns.items()} == {
        "id": "string", "email": "string", "country": "string", "amount": "double", "at": "timestamp",
        "tags": "array<string>", "day": "date", "n": "int", "ok": "boolean", "more": "struct<a:bigint>",
        "raw": "binary", "cost": "decimal(10,2)",
    }  # fmt: skip
    assert [(each["property"], each["value"], each["unit"]) for each in contract["slaProperties"]] == [
        ("frequency", 24, "h"), ("retention", 730, "d"),
    ]  # fmt: skip
    assert contract_of(a_pipeline(), {})["id"] == contract["id"]


CONDITIONS = st.sampled_from(["a > 1", "country = 'DE' OR b IS NULL", "`x y` <> 'é'"])
PATTERNS = st.sampled_from(["[a-z]+", r"a|b\.c", "^x$", "(?:a)", r"\p{L}{2}", "^(?:x)$"])
TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(
    st.one_of(
        st.builds(lambda c, v: {"is_in": {"column": c, "values": v}}, TEXT, st.lists(TEXT, min_size=1, max_size=4)),
        st.builds(lambda c, p: {"matches": {"column": c, "pattern": p}}, TEXT, PATTERNS),
        st.builds(lambda c: {"is_unique": {"columns": c}}, st.lists(TEXT, min_size=1, max_size=3, unique=True)),
        st.builds(lambda c, low: {"is_in_range": {"column": c, "min": low}}, TEXT, st.floats(-1e9, 1e9)),
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "name": TEXT, "severity": st.sampled_from(["error", "warn", "fail"]), "filter": CONDITIONS, "owner": TEXT,
            "description": TEXT,
        },
    ),
)  # fmt: skip
def test_every_rule_comes_back_as_it_was(rule: dict[str, Any], options: dict[str, Any]) -> None:
    kind, parameters = next(iter(rule.items()))
    declared = Rule.model_validate({kind: parameters | options})
    column, entry = entry_of(declared)
    written = yaml.safe_load(yaml.safe_dump(entry, allow_unicode=True))
    assert Rule.model_validate(rule_of(written, column)) == declared
    assert Rule.model_validate(declaration_of(declared)) == declared


FOREIGN = """\
apiVersion: v3.0.2
kind: DataContract
id: 1
name: orders
version: 3.1.4
status: active
domain: sales
description: {purpose: Orders, usage: Reports}
team:
  - {username: jane}
price: {priceAmount: 3}
slaProperties:
  - {property: latency, value: 4, unit: d}
schema:
  - name: orders
    physicalType: table
    dataGranularityDescription: One row per order
    properties:
      - name: order_id
        logicalType: integer
        required: true
        unique: true
        primaryKey: true
        classification: restricted
        physicalType: NUMBER(18)
      - name: code
        logicalType: string
        logicalTypeOptions: {minLength: 2, maxLength: 9, pattern: '[A-Z]+', format: hostname}
        tags: [PII]
        quality:
          - {type: text, description: Looks right}
          - {metric: invalidValues, arguments: {pattern: 'x'}, mustBeLessThan: 5, unit: percent}
      - name: total
        logicalType: number
        logicalTypeOptions: {minimum: 0, maximum: 9.5}
        quality:
          - {metric: nullValues, mustBe: 0, severity: high, dimension: accuracy, customProperties: [{property: jira}]}
    quality:
      - {type: sql, query: 'SELECT COUNT(*) FROM {object}', mustBeGreaterThan: 3}
      - {type: custom, engine: soda, implementation: 'x: y'}
"""


def foreign(tmp_path: Path, *changes: tuple[str, str]) -> Document:
    text = FOREIGN
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "orders.yaml").write_text(text)
    return Document.load(tmp_path / "orders.yaml")


def test_what_another_tool_wrote_is_taken_or_said(tmp_path: Path) -> None:
    text = pipeline_part(foreign(tmp_path))
    part = yaml.safe_load(text)
    assert part["rules"] == [
        {"is_not_null": "order_id"},
        {"is_unique": {"columns": ["order_id"]}},
        {"matches": {"column": "code", "pattern": "[A-Z]+"}},
        {"has_length": {"column": "code", "min": 2, "max": 9}},
        {"is_not_null": "total"},
        {"is_in_range": {"column": "total", "min": 0, "max": 9.5}},
    ]
    assert [part["description"], part.get("columns")] == ["Orders", None]
    assert "cast: {order_id: bigint, total: double}" in text
    assert "keys: [order_id]" in text
    left = [
        line.removeprefix(f"#   {tmp_path}/orders.yaml:") for line in text.partition("no place for:\n")[2].splitlines()
    ]
    places = {line.split(": ", 1)[0]: line.split(": ", 1)[1] for line in left}
    assert places["7"] == "domain"
    assert places["8"] == "description.usage"
    assert places["9"] == "team: its members"
    assert places["11"] == "price"
    assert places["13"].startswith("slaProperties latency 4 d")
    assert places["17"] == "dataGranularityDescription"
    assert places["24"] == "order_id: classification"
    assert places["25"] == "order_id: physicalType NUMBER(18)"
    assert places["28"] == "code: format hostname"
    assert places["29"].startswith("code: tags ['PII'], since")
    assert places["31"] == "code: quality: a text, which nobody can judge by itself"
    assert places["32"] == "code: quality: invalidValues mustBeLessThan 5 percent"
    assert [line for line in left if line.startswith("37: ")] == [
        "37: total: severity high of a quality entry", "37: total: dimension of a quality entry",
        "37: total: jira of a quality entry",
    ]  # fmt: skip
    assert places["39"].startswith("quality: SQL of its own")
    assert places["40"] == "quality: a check of the engine soda"


def test_what_is_by_default_is_not_written() -> None:
    rule = Rule.model_validate({"has_length": {"column": "a", "min": 0, "max": 4, "severity": "error"}})
    assert declaration_of(rule) == {"has_length": {"column": "a", "max": 4}}
    half = Rule.model_validate({"is_in_range": {"column": "a", "min": 0, "max": 0.5, "severity": "warn"}})
    assert declaration_of(half) == {"is_in_range": {"column": "a", "min": 0, "max": 0.5, "severity": "warn"}}


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("kind: DataContract", "kind: DataProduct", 2, "kind is DataContract in a data contract, found 'DataProduct'"),
        (
            "apiVersion: v3.0.2",
            "apiVersion: v2.2.2",
            1,
            "'v2.2.2' is not read; Allowed: v3.0.0, v3.0.1, v3.0.2, v3.1.0",
        ),
        ("apiVersion: v3.0.2\n", "", 1, "apiVersion None is not read"),
        ("type: text", "type: txt", 31, "unknown type 'txt' of a quality entry; did you mean 'text'?"),
        ("metric: nullValues", "metric: nulValues", 37, "unknown metric 'nulValues'; did you mean 'nullValues'?"),
        ("mustBe: 0, severity", "severity", 37, "found none"),
        ("engine: soda, implementation: 'x: y'", "engine: lakeloop, implementation: 'x'", 40, "is one entry 'kind:"),
        (
            "engine: soda, implementation: 'x: y'",
            "engine: lakeloop, implementation: {is_nul: {column: a}}",
            40,
            "unknown rule 'is_nul'; did you mean",
        ),
        ("  - name: orders\n", "  - title: orders\n", 15, "a table of the schema has a name"),
        ("minLength: 2", "minLength: two", 28, "has_length: min"),
    ],
)
def test_a_wrong_contract_is_refused_with_file_and_line(
    old: str, new: str, line: int, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as found:
        pipeline_part(foreign(tmp_path, (old, new)))
    assert str(found.value).startswith(f"{tmp_path}/orders.yaml:{line}: ")
    assert said in str(found.value)


def test_what_is_said_twice_is_one_rule(tmp_path: Path) -> None:
    entry = "{metric: nullValues, mustBe: 0, description: Always there}"
    twice = foreign(tmp_path, ("        unique: true\n", f"        quality: [{entry}, {entry}]\n"))
    rules = yaml.safe_load(pipeline_part(twice))["rules"]
    assert rules[0] == {"is_not_null": {"column": "order_id", "description": "Always there"}}
    assert [rule for rule in rules if "order_id" in str(rule)] == rules[:1]


def test_of_several_tables_one_is_named(tmp_path: Path) -> None:
    two = foreign(tmp_path, ("schema:\n", "schema:\n  - {name: lines, properties: [{name: a, required: true}]}\n"))
    with pytest.raises(ConfigError, match=r"2 tables and a pipeline is about one.*Allowed: lines, orders"):
        pipeline_part(two)
    with pytest.raises(ConfigError, match="no table 'line'; did you mean 'lines'"):
        pipeline_part(two, "line")
    assert yaml.safe_load(pipeline_part(two, "lines"))["rules"] == [{"is_not_null": "a"}]


def test_the_command_exports_and_imports(tmp_path: Path) -> None:
    project = write_lake(tmp_path)
    run, conf = CliRunner(), ["--conf-dir", str(project.folder)]
    exported = run.invoke(app, ["contract", "export", "people", *conf])
    assert exported.exit_code == 0
    contract = yaml.safe_load(exported.stdout)
    VALIDATOR.validate(contract)
    assert [each["name"] for each in contract["schema"][0]["properties"]] == ["person_id", "email", "city", "age", "at"]
    file = tmp_path / "people.odcs.yaml"
    assert run.invoke(app, ["contract", "export", "people", *conf, "--output", str(file)]).exit_code == 0
    imported = run.invoke(app, ["contract", "import", str(file)])
    assert yaml.safe_load(imported.stdout)["columns"] == {
        "email": {"description": "Contact address", "tags": ["pii"], "mask": "hash"}, "city": {"tags": ["pii"]},
    }  # fmt: skip
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    broken = run.invoke(app, ["contract", "import", str(tmp_path / "broken.yaml")])
    assert broken.exit_code == 1
    assert "broken.yaml:2: not valid YAML" in broken.stdout
    assert "no pipeline 'peple'" in run.invoke(app, ["contract", "export", "peple", *conf]).stdout
