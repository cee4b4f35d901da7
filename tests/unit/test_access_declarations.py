"""What pipelines and access.yml may say of columns, keys and keeping."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError, SecretMissingError
from lakeloop.ingestion.sources.opening import open_source
from lakeloop.ingestion.sources.query import QueryReader
from lakeloop.ingestion.sources.replay import WithReplays
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.lake.tables import Lake
from lakeloop.serving.access_spec import AccessSpec, Keys, KeySpec, load_access, load_keys
from lakeloop.serving.data.policies import load_policies, pii_warnings, reach
from lakeloop.serving.models.process import require_guarded
from lakeloop.serving.rate import Buckets
from tests.small_lake import SECRETS, write_lake

SOURCE = {"files": "drop", "formats": {"csv": {}}, "fields": ["id", "at"]}
MERGE = {"table": "silver.p", "mode": "merge", "keys": ["id"]}


def declared(**more: Any) -> PipelineSpec:
    spec = {"pipeline": "p", "description": "P", "source": SOURCE, "sink": {"table": "silver.p"}}
    return PipelineSpec.model_validate(spec | more)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return write_lake(tmp_path)


def test_columns_are_described_tagged_and_masked() -> None:
    spec = declared(columns={"id": {"tags": ["pii"]}, "at": {"description": "When"}})
    assert spec.pii_columns == ["id"]
    assert spec.columns["at"].description == "When"
    assert spec.keep is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"columns": {"id": {"tags": ["pi"]}}}, "a tag 'pi' would mask nothing; write pii"),
        ({"columns": {"id": {"mask": "hash"}}}, "mask belongs to a column with the tag pii"),
        ({"columns": {"id": {"tags": ["pii"], "mask": "md5"}}}, "'redact', 'hash' or 'partial'"),
        ({"columns": {"id": {"tag": ["pii"]}}}, "unknown key 'tag'; did you mean 'tags'"),
        ({"columns": {"_reasons": {}}}, "String should match pattern"),
        ({"keep": {}}, "keep names at least one of"),
        ({"keep": {"days": 0}}, "greater than or equal to 1"),
        ({"keep": {"day": 3}}, "unknown key 'day'; did you mean 'days'"),
        ({"keep": {"versions": 3, "by": "at"}, "sink": MERGE}, "by belongs to days"),
        ({"keep": {"days": 3, "by": "at"}}, "by belongs to a sink of mode merge"),
        ({"keep": {"days": 3}, "sink": {"table": "gold.p", "mode": "overwrite"}}, "replaced as a whole"),
    ],
)
def test_what_cannot_be_meant_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        declared(**more)


def test_what_can_be_kept() -> None:
    for sink, keep in (
        ({"table": "silver.p"}, {"days": 730, "quarantined_days": 30}),
        (MERGE, {"days": 730, "by": "at"}),
        ({"table": "gold.p", "mode": "overwrite"}, {"versions": 20}),
    ):
        assert declared(sink=sink, keep=keep).keep is not None


def test_the_fingerprint_of_a_row_of_a_database_is_masked_too(project: Project) -> None:
    file = Path(project.folder) / "base/pipelines/people.yml"
    source = "source: {jdbc: crm, table: people, incremental: {cursor: at}}"
    file.write_text("\n".join(source if line.startswith("source") else line for line in file.read_text().splitlines()))
    policies = load_policies(project)
    assert policies["bronze.people"].masks["_fingerprint"] == "redact"
    assert "_fingerprint" not in policies["silver.people"].masks


def test_masks_follow_from_the_declarations(project: Project) -> None:
    policies = load_policies(project)
    assert policies["silver.people"].masks == {"email": "hash", "city": "redact"}
    assert policies["bronze.people"].masks == {
        "email": "hash", "city": "redact", "_original": "redact", "_rescued": "redact", "_reasons": "redact",
        "_conflicts": "redact",
    }  # fmt: skip
    assert policies["silver.visits"].masks == policies["bronze.visits"].masks == {}
    seen = reach(["silver.people", "ops.runs"], policies, pii=False)
    assert seen == {"silver.people": {"email": "hash", "city": "redact"}, "ops.runs": {}}
    assert reach(["silver.people"], policies, pii=True) == {"silver.people": {}}


def test_a_pipeline_that_is_not_valid_hides_everything(project: Project) -> None:
    (project.folder / "base/pipelines/visits.yml").write_text("pipeline: visits\n")
    with pytest.raises(ConfigError, match=r"visits\.yml"):
        load_policies(project)


def test_keys_reach_what_they_name() -> None:
    key = KeySpec.model_validate({"key": "${secret:k}", "tables": ["silver.*", "gold.scores"]})
    assert [key.reaches(t) for t in ("silver.a", "gold.scores", "gold.scores2", "bronze.a", "silver", "silverx.a")] == [
        True, True, False, False, False, False
    ]  # fmt: skip
    assert (key.pii, key.query) == (False, False)
    for wrong in (
        {"key": "plain", "tables": ["a.*"]},
        {"key": "${secret:k}", "tables": []},
        {"key": "${secret:k}", "tables": ["*"]},
    ):
        with pytest.raises(ValidationError):
            KeySpec.model_validate(wrong)


def test_a_caller_is_known_by_the_whole_key_only() -> None:
    spec = KeySpec.model_validate({"key": "${secret:k}", "tables": ["a.*"]})
    keys = Keys({"one": spec, "two": spec}, {"one": "first-key", "two": "second-key"})
    found = [keys.caller(presented) for presented in ("first-key", "second-key", "second-ke", "second-key ", "", "é")]
    assert [caller and caller.name for caller in found] == ["one", "two", None, None, None, None]
    assert "first-key" not in repr(vars(keys))


def test_keys_that_cannot_protect_are_refused(project: Project) -> None:
    secrets = project.folder.parent / "secrets"
    access = load_access(project)
    assert load_keys(project, access).caller(SECRETS["steward"]) is not None
    (secrets / "steward").write_text("short")
    with pytest.raises(ConfigError, match="the key 'steward' has 5 characters, of at least 16"):
        load_keys(project, access)
    (secrets / "steward").write_text(SECRETS["analyst"])
    with pytest.raises(ConfigError, match="the keys 'analyst' and 'steward' have one value"):
        load_keys(project, access)
    (secrets / "steward").unlink()
    with pytest.raises(SecretMissingError, match="'steward' has no value"):
        load_keys(project, access)


def test_validate_reads_access_yml(project: Project) -> None:
    assert verbs.validate(project) == []
    access = project.folder / "base/access.yml"
    text = access.read_text()
    access.write_text(text.replace("tables: [silver.visits]", "table: [silver.visits]", 1))
    assert any("access.yml:6: unknown key 'table'; did you mean 'tables'?" in p for p in verbs.validate(project))
    access.write_text(text.replace("masking_key: ${secret:masking_key}", ""))
    assert verbs.validate(project) == [
        "silver.people, bronze.people: a column has mask: hash, but access.yml has no masking_key"
    ]
    access.write_text(text)
    (project.folder.parent / "secrets/analyst").unlink()
    assert "the secret 'analyst' has no value" in verbs.validate(project)[0]
    assert verbs.validate(project, secrets=False) == []
    access.unlink()
    (project.folder / "base/pipelines/people.yml").unlink()
    assert verbs.validate(project) == []


def test_a_derived_table_that_says_nothing_of_personal_data_is_warned_of(project: Project) -> None:
    derived = project.folder / "base/pipelines/towns.yml"
    text = (
        "pipeline: towns\ndescription: Towns\n"
        "source: {inputs: {p: silver.people}, query: SELECT city AS town FROM p}\n"
        "sink: {table: gold.towns, mode: overwrite}\n"
    )
    derived.write_text(text)
    assert [warning.split(": tag those")[0] for warning in pii_warnings(project)] == [
        "towns reads pii columns of silver.people (email, city) and declares none"
    ]
    assert load_policies(project)["gold.towns"].masks == {}
    derived.write_text(text + "columns: {town: {tags: [pii]}}\n")
    assert pii_warnings(project) == []
    derived.write_text(text + "columns: {email: {}, city: {}}\n")
    assert pii_warnings(project) == []
    assert load_pipeline(project, "towns").pii_columns == []


def test_a_bucket_fills_evenly_and_holds_a_minute() -> None:
    now = [0.0]
    buckets = Buckets(clock=lambda: now[0])
    assert [buckets.seconds_to_wait("k", 2) for _ in range(2)] == [0, 0]
    assert buckets.seconds_to_wait("k", 2) == 30
    assert buckets.seconds_to_wait("other", 2) == 0
    now[0] = 15.0
    assert buckets.seconds_to_wait("k", 2) == 15
    now[0] = 30.0
    assert [buckets.seconds_to_wait("k", 2) for _ in range(2)] == [0, 30]
    now[0] = 3600.0
    assert [buckets.seconds_to_wait("k", 2) for _ in range(3)] == [0, 0, 30]


def test_what_is_said_of_a_derived_table_does_not_let_it_be_written_again(project: Project) -> None:
    derived = project.folder / "base/pipelines/towns.yml"
    text = (
        "pipeline: towns\ndescription: Towns\nsource: {inputs: {p: silver.people}, query: SELECT city AS town FROM p}\n"
        "sink: {table: gold.towns, mode: overwrite}\n"
    )
    lake = Lake(None, project.lake_root)  # type: ignore[arg-type]  # opening a query reads nothing
    definitions = []
    for more in ("", "columns: {town: {tags: [pii]}}\nkeep: {versions: 3}\n", "owner: somebody\n"):
        derived.write_text(text + more)
        reader = open_source(project, load_pipeline(project, "towns"), lake)
        assert isinstance(reader, WithReplays)
        assert isinstance(reader.usual, QueryReader)
        definitions.append(reader.usual.definition)
    assert definitions[0] == definitions[1] != definitions[2]


def test_a_key_reaches_tables_models_or_both() -> None:
    with pytest.raises(ValidationError, match="a key reaches something: give it tables, models, or both"):
        KeySpec.model_validate({"key": "${secret:k}"})
    spec = KeySpec.model_validate({"key": "${secret:k}", "models": ["churn", "price*"]})
    assert [spec.asks(model) for model in ("churn", "churned", "price", "prices", "x")] == [
        True,
        False,
        True,
        True,
        False,
    ]
    assert not spec.reaches("silver.people")
    for pattern in ("", "../x", "a b", "*x"):
        with pytest.raises(ValidationError):
            KeySpec.model_validate({"key": "${secret:k}", "models": [pattern]})


@pytest.mark.parametrize(
    ("models", "host", "said"),
    [
        (None, "0.0.0.0", "0.0.0.0 is reached from elsewhere and no key in access.yml has models"),
        (None, "example.com", "is reached from elsewhere"),
        (None, "::", "is reached from elsewhere"),
        ((), "127.0.0.1", "no key in access.yml has models, so nobody could ask"),
        (None, "127.0.0.1", ""), (None, "::1", ""), (None, "localhost", ""), (("churn",), "0.0.0.0", ""),
    ],
)  # fmt: skip
def test_models_are_not_open_to_others_without_a_key(models: tuple[str, ...] | None, host: str, said: str) -> None:
    key = {"key": "${secret:k}", "tables": ["silver.*"]}
    keys = {} if models is None else {"k": key | {"models": models}}
    access = AccessSpec.model_validate({"keys": keys})
    if not said:
        require_guarded(access, host)
        return
    with pytest.raises(ConfigError, match=said):
        require_guarded(access, host)


def test_where_columns_are_masked_the_log_of_predictions_is_too(project: Project) -> None:
    assert load_policies(project)["ops.predictions"].masks == {"key": "redact", "features": "redact"}
