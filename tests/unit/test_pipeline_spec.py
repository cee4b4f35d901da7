"""Pipeline declarations: what is accepted, what is refused with file and line, and the rules that a sink implies."""

from pathlib import Path
from textwrap import dedent

import pytest

from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.source_specs import CdcSource, JdbcSource, QuerySource, RestSource
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline

CONF = Path(__file__).parents[2] / "conf"
HEAD = "pipeline: p\ndescription: Something\n"
FILES = "source: {files: drop, formats: {csv: {}}, fields: [id, name, at]}\n"
APPEND = "sink: {table: silver.p}\n"
CDC = "source: {cdc: crm, table: public.p, slot: s, publication: lakeloop}\n"
MERGE = "sink: {table: silver.p, mode: merge, keys: [id]}\n"


def load(folder: Path, text: str) -> PipelineSpec:
    (folder / "local").mkdir(exist_ok=True)
    file = folder / "base/pipelines/p.yml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(text))
    return load_pipeline(Project(folder), "p")


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as refused:
        load(folder, text)
    return str(refused.value)


def implied(spec: PipelineSpec) -> list[tuple[str, tuple[str, ...], str]]:
    return [(rule.kind, rule.columns, rule.severity) for rule in spec.all_rules[len(spec.rules) :]]


def test_shipped_pipelines_are_valid_and_of_every_kind() -> None:
    project = Project(CONF)
    specs = {name: load_pipeline(project, name) for name in project.names("pipelines")}
    assert {type(spec.source) for spec in specs.values()} == {FilesSource, JdbcSource, QuerySource, RestSource}
    assert specs["customers"].record_table == "bronze.customers"
    assert specs["customer_features"].inputs == {"silver.customers", "silver.usage", "silver.support_contacts"}
    assert specs["usage"].inputs == {"silver.customers"}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (HEAD + "sorce: {}\n" + APPEND, 3, ["unknown key 'sorce'", "did you mean 'source'"]),
        (HEAD + "source: {}\n" + APPEND, 3, ["keys cdc, files, jdbc, join, kafka, query, rest, tables"]),
        (HEAD + "source: {jdbc: crm, files: drop, table: t}\n" + APPEND, 3, ["exactly one of the keys"]),
        (HEAD + "source: crm\n" + APPEND, 3, ["exactly one of the keys"]),
        (HEAD + "source:\n  jdbc: crm\n" + APPEND, 3, ["table"]),
        (
            HEAD + "source:\n  jdbc: crm\n  table: t\n  incremental: {curser: at}\n" + APPEND,
            6,
            ["'curser'", "'cursor'"],
        ),
        (HEAD + "source: {rest: api, path: /u}\n" + APPEND, 3, ["records", "required"]),
        (
            HEAD + "source: {rest: api, path: usage, records: d, fields: [a]}\n" + APPEND,
            3,
            ["path", "found 'usage'"],
        ),
        (
            HEAD + "source:\n  rest: api\n  path: /u\n  records: d\n  paginate: {pages: {size: 0}}\n" + APPEND,
            7,
            ["paginate.pages.size", "greater than 0", "found 0"],
        ),
        (
            HEAD
            + "source:\n  rest: api\n  path: /u\n  records: d\n  fields: [a]\n  incremental: {cursor: at}\n"
            + APPEND,
            8,
            ["param"],
        ),
        (HEAD + "source: {files: drop, formats: {csv: {}}, fields: []}\n" + APPEND, 3, ["fields", "at least 1"]),
        (HEAD + "source: {files: drop, formats: {parqet: {}}, fields: [a]}\n" + APPEND, 3, ["'parqet'", "'parquet'?"]),
        (
            HEAD + "source: {files: drop, formats: {csv: {delimiter: ';;'}}, fields: [a]}\n" + APPEND,
            3,
            ["delimiter", "at most 1"],
        ),
        (HEAD + "source: {files: drop, formats: {csv: {}}, fields: [_a]}\n" + APPEND, 3, ["found '_a'"]),
        (HEAD + "source: {files: drop, formats: {csv: {}}, fields: [a.b]}\n" + APPEND, 3, ["found 'a.b'"]),
        (HEAD + "source: {files: drop, formats: {csv: {}}, fields: [a, A]}\n" + APPEND, 3, ["fields", "twice"]),
        (HEAD + "source: {files: drop, formats: {}, fields: [a]}\n" + APPEND, 3, ["formats"]),
        (HEAD + "source: {query: SELECT 1, inputs: {}}\n" + APPEND, 3, ["inputs", "at least 1"]),
        (HEAD + "source: {query: SELECT 1, inputs: {c: customers}}\n" + APPEND, 3, ["found 'customers'"]),
        (HEAD + FILES + "transforms:\n  - trim: [id]\n  - cats: {id: int}\n" + APPEND, 6, ["'cats'", "'cast'"]),
        (HEAD + FILES + "transforms:\n  - {trim: [id], cast: {id: int}}\n" + APPEND, 5, ["one entry"]),
        (HEAD + FILES + "transforms:\n  - cast:\n      id: integer\n" + APPEND, 6, ["'integer'", "Allowed", "int"]),
        (HEAD + FILES + "transforms:\n  - cast: {id: decimal}\n" + APPEND, 5, ["'decimal'", "decimal(10,2)"]),
        (HEAD + FILES + "transforms:\n  - impute: {id: medain}\n" + APPEND, 5, ["'medain'", "did you mean 'median'"]),
        (HEAD + FILES + "transforms:\n  - impute: {id: {}}\n" + APPEND, 5, ["impute.id"]),
        (HEAD + FILES + "transforms:\n  - dedupe: {keys: []}\n" + APPEND, 5, ["keys", "at least 1"]),
        (HEAD + FILES + "transforms:\n  - dedupe: {keys: [id], latest: at}\n" + APPEND, 5, ["'latest'", "latest_by"]),
        (
            HEAD + FILES + "transforms:\n  - units:\n      w: {to: kg,\n        form: {kg: 1}}\n" + APPEND,
            7,
            ["unknown key 'form'", "did you mean 'from'"],
        ),
        (
            HEAD
            + FILES
            + "transforms: [dedupe: {keys: [id], against: table}]\nsink: {table: silver.p, mode: overwrite}\n",
            1,
            ["mode overwrite", "against: table"],
        ),
        (HEAD + FILES + "rules:\n  - is_uniqe: id\n" + APPEND, 5, ["'is_uniqe'", "'is_unique'"]),
        (HEAD + FILES + "sink: {table: customers}\n", 4, ["sink.table", "found 'customers'"]),
        (HEAD + FILES + "sink: {table: silver.p, mode: upsert}\n", 4, ["sink.mode", "'merge'", "found 'upsert'"]),
        (HEAD + FILES + "sink: {table: silver.p, mode: merge}\n", 4, ["mode merge needs them"]),
        (HEAD + FILES + "sink: {table: silver.p, keys: [id]}\n", 4, ["keys belong to mode merge"]),
        (HEAD + FILES + "sink: {table: silver.p, sequence_by: at}\n", 4, ["sequence_by"]),
        (HEAD + FILES + "sink: {table: silver.p, mode: merge, keys: [id], history: scd2}\n", 4, ["sequence_by"]),
        (HEAD + CDC + "sink: {table: silver.p}\n", 4, ["mode: merge and the keys"]),
        (HEAD + CDC + MERGE.replace("}", ", sequence_by: at}"), 4, ["in the order of their commits"]),
        (HEAD + CDC + "transforms: [dedupe: {keys: [id]}]\n" + MERGE, 1, ["dedupe: several changes of a key"]),
        (
            HEAD + CDC + "transforms: [survive: {keys: [id], from: name, otherwise: longest}]\n" + MERGE, 1,
            ["survive: several changes of a key"],
        ),
        (HEAD + CDC + "rules: [is_unique: id]\n" + MERGE, 1, ["is_unique: a key may change several times"]),
        (HEAD + CDC.replace("public.p", "p") + MERGE, 3, ["source.table", "found 'p'"]),
        (HEAD + CDC.replace(": s,", ": My-Slot,") + MERGE, 3, ["source.slot", "found 'My-Slot'"]),
        (HEAD + CDC.replace("}", ", retains_at_most: 5 GB}") + MERGE, 3, ["a size is a whole number"]),
        (HEAD.replace(": p", ": P p") + FILES + APPEND, 1, ["pipeline", "found 'P p'"]),
        (HEAD + FILES, 1, ["sink", "required"]),
    ],
)  # fmt: skip
def test_a_wrong_declaration_is_refused_with_file_and_line(
    tmp_path: Path, text: str, line: int, words: list[str]
) -> None:
    said = refusal(tmp_path, text)
    assert said.startswith(f"{tmp_path}/base/pipelines/p.yml:{line}: ")
    assert all(word in said for word in words), said


def test_every_problem_has_its_own_line(tmp_path: Path) -> None:
    text = HEAD + FILES + "transforms:\n  - cast: {id: number}\nrules:\n  - is_there: id\nsink: {table: nowhere}\n"
    assert [problem.split(": ", 1)[0].rsplit(":", 1)[1] for problem in refusal(tmp_path, text).splitlines()] == [
        "5",
        "7",
        "8",
    ]


def test_merge_keys_are_present_and_unique(tmp_path: Path) -> None:
    spec = load(tmp_path, HEAD + FILES + "sink: {table: silver.p, mode: merge, keys: [id, name]}\n")
    assert implied(spec) == [
        ("is_not_null", ("id",), "error"),
        ("is_not_null", ("name",), "error"),
        ("is_unique", ("id", "name"), "error"),
    ]
    assert implied(load(tmp_path, HEAD + FILES + APPEND)) == []


@pytest.mark.parametrize(
    ("transforms", "is_checked"),
    [
        ("[dedupe: {keys: [id]}]", False),
        ("[cast: {id: int}, dedupe: {keys: [id]}, cast: {name: string}]", False),
        ("[dedupe: {keys: [name]}]", True),
        ("[survive: {keys: [id], from: name, otherwise: most_common}]", False),
        ("[survive: {keys: [name], from: at, otherwise: most_common}]", True),
        ("[dedupe: {keys: [id, name]}]", True),
        ("[dedupe: {keys: [id]}, cast: {id: int}]", True),
        ("[dedupe: {keys: [id]}, trim: [id]]", True),
        ("[dedupe: {keys: [id]}, impute: {id: {constant: 0}}]", True),
        ("[dedupe: {keys: [id]}, rename: {name: id}]", True),
        ("[dedupe: {keys: [id]}, split: {name: {separator: x, into: [id, b]}}]", True),
        ("[dedupe: {keys: [id]}, split: {id: {separator: x, into: [a, b]}}]", False),
        ("[dedupe: {keys: [id]}, outliers: {id: {method: iqr, limit: 1, action: flag}}]", False),
        ("[dedupe: {keys: [id]}, outliers: {id: {method: iqr, limit: 1, action: clip}}]", True),
    ],
)
def test_uniqueness_is_left_to_a_dedupe_that_guarantees_it(tmp_path: Path, transforms: str, is_checked: bool) -> None:
    spec = load(tmp_path, HEAD + FILES + f"transforms: {transforms}\n" + MERGE)
    assert ("is_unique" in {kind for kind, _, _ in implied(spec)}) is is_checked


def test_a_history_needs_its_sequence(tmp_path: Path) -> None:
    sink = "sink: {table: silver.p, mode: merge, keys: [id], sequence_by: at, history: scd2}\n"
    assert ("is_not_null", ("at",), "error") in implied(load(tmp_path, HEAD + FILES + sink))


def test_changes_have_an_order_of_their_own_and_keys_that_repeat(tmp_path: Path) -> None:
    spec = load(tmp_path, HEAD + CDC + MERGE.replace("}", ", history: scd2}"))
    assert implied(spec) == [("is_not_null", ("id",), "error")]
    assert spec.source == CdcSource(cdc="crm", table="public.p", slot="s", publication="lakeloop")
    assert spec.runs_until_idle is False


def test_a_declared_rule_of_full_strength_is_not_repeated(tmp_path: Path) -> None:
    rules = "rules: [is_not_null: id, is_unique: {columns: [id], severity: fail}]\n"
    assert implied(load(tmp_path, HEAD + FILES + rules + MERGE)) == []


@pytest.mark.parametrize(
    "rule",
    [
        "is_not_null: {column: id, severity: warn}",
        "is_not_null: {column: id, filter: name = 'x'}",
        "is_in: {column: name, values: [x], name: id_is_not_null}",
    ],
)
def test_a_weaker_rule_does_not_let_null_keys_through(tmp_path: Path, rule: str) -> None:
    spec = load(tmp_path, HEAD + FILES + f"rules: [{rule}]\n" + MERGE)
    assert ("is_not_null", ("id",), "error") in implied(spec)
    names = [rule.name for rule in spec.all_rules]
    assert len(names) == len(set(names))


def test_an_environment_overlays_a_pipeline(tmp_path: Path) -> None:
    load(tmp_path, HEAD + FILES + APPEND)
    over = tmp_path / "local/pipelines/p.yml"
    over.parent.mkdir()
    over.write_text("sink:\n  table: silver.other\n  mod: append\n")
    with pytest.raises(ConfigError, match=rf"{over}:3: unknown key 'mod'"):
        load_pipeline(Project(tmp_path), "p")
    over.write_text("sink: {table: silver.other}\n")
    assert load_pipeline(Project(tmp_path), "p").sink.table == "silver.other"


def test_an_unknown_pipeline_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'customers'"):
        load_pipeline(Project(CONF), "costumers")
