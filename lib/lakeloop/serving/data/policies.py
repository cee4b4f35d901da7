"""What pipelines say of their tables: descriptions, and which columns are masked for readers without the right."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.source_specs import JdbcSource
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.ingestion.table_spec import ColumnSpec
from lakeloop.ingestion.transforms import CONFLICTS
from lakeloop.lake.masks import Mask
from lakeloop.lake.predictions import PERSONAL as PERSONAL_OF_PREDICTIONS
from lakeloop.lake.predictions import PREDICTIONS
from lakeloop.lake.quarantine_decisions import PERSONAL, QUARANTINE
from lakeloop.lake.select import Masks
from lakeloop.serving.access_spec import AccessSpec

RECORD_COLUMNS = ("_original", "_rescued", "_reasons")
FINGERPRINT = "_fingerprint"  # without a key, so that a value could be tried out until it fits


@dataclass(frozen=True)
class Policy:
    """What is declared of one table; a table that no pipeline writes has an empty one and is shown as it is.

    `may_lack` names masked columns that the table leaves out now, and may have from before.
    """

    description: str = ""
    owner: str | None = None
    columns: Mapping[str, ColumnSpec] = field(default_factory=dict)
    masks: Masks = field(default_factory=dict)
    may_lack: tuple[str, ...] = ()


def load_policies(project: Project) -> dict[str, Policy]:
    """The policy of every table that a pipeline writes.

    Raises ConfigError for any pipeline that is not valid, since nobody can tell then what must be masked.
    """
    found: dict[str, Policy] = {}
    for name in project.names("pipelines"):
        spec = load_pipeline(project, name)
        masks: dict[str, Mask] = {column: spec.columns[column].mask or "redact" for column in spec.pii_columns}
        # What a row was before it was conformed, and why it was refused, quote any of its columns.
        telling = [*RECORD_COLUMNS, CONFLICTS, *([FINGERPRINT] if is_fingerprinted(spec) else [])]
        of_record: dict[str, Mask] = masks | dict.fromkeys(telling, "redact") if masks else {}
        for target in spec.targets:
            if target.table in found:
                raise ConfigError(f"two pipelines write {target.table}; a table has one pipeline")
            left_out = tuple(column for column in masks if column not in target.shown(list(masks)))
            found[target.table] = Policy(spec.description, spec.owner, spec.columns, masks, left_out)
        record = f"Every row that came in for {spec.said_tables}, with its verdict and its reasons"
        found[spec.record_table] = Policy(record, spec.owner, spec.columns, of_record, (CONFLICTS,))
    if any(policy.masks for policy in found.values()):
        # One table has the decisions of all pipelines, and corrected cells quote their rows.
        said = "Decisions on quarantined rows: replayed, fixed or discarded, by whom and why"
        found[QUARANTINE] = Policy(said, masks=dict.fromkeys(PERSONAL, "redact"))
        said = "What models answered: one row per prediction, with the features that it was made from"
        found[PREDICTIONS] = Policy(said, masks=dict.fromkeys(PERSONAL_OF_PREDICTIONS, "redact"))
    return found


def is_fingerprinted(spec: PipelineSpec) -> bool:
    """Whether the record has fingerprints of its rows, as that of a database with a cursor."""
    return isinstance(spec.source, JdbcSource) and spec.source.incremental is not None


def reach(tables: Iterable[str], policies: Mapping[str, Policy], *, pii: bool) -> dict[str, Masks]:
    """The masks of each table, none where the reader has the right to personal data."""
    return {table: {} if pii or table not in policies else policies[table].masks for table in tables}


def may_lack(tables: Iterable[str], policies: Mapping[str, Policy]) -> dict[str, tuple[str, ...]]:
    """The masked columns that each table need not have."""
    return {table: policies[table].may_lack for table in tables if table in policies and policies[table].may_lack}


def access_problems(project: Project, access: AccessSpec) -> list[str]:
    """What is wrong between `access.yml` and the pipelines, a sentence each."""
    hashed = [name for name, policy in load_policies(project).items() if "hash" in policy.masks.values()]
    if hashed and access.masking_key is None:
        return [f"{', '.join(hashed)}: a column has mask: hash, but access.yml has no masking_key"]
    return []


def pii_warnings(project: Project) -> list[str]:
    """Pipelines whose rows come from tables with pii columns and that say of none of their own columns what it is."""
    specs = [load_pipeline(project, name) for name in project.names("pipelines")]
    private = {spec.record_table: spec.pii_columns for spec in specs}
    private |= {target.table: target.shown(spec.pii_columns) for spec in specs for target in spec.targets}
    return [text for spec in specs if (text := _silence(spec, private))]


def _silence(spec: PipelineSpec, private: Mapping[str, list[str]]) -> str:
    if not spec.followed or spec.pii_columns:
        return ""
    tables = sorted(spec.followed)
    open_ones = {table: [c for c in private.get(table, []) if c not in spec.columns] for table in tables}
    read = "; ".join(f"{table} ({', '.join(columns)})" for table, columns in open_ones.items() if columns)
    if not read:
        return ""
    return (
        f"{spec.pipeline} reads pii columns of {read} and declares none: tag those of its result under columns, or "
        "name the columns there without a tag to say that you looked"
    )
