"""What columns a pipeline's source has had, without Spark."""

from dataclasses import dataclass
from typing import Any

from lakeloop.core.config import Project
from lakeloop.lake.schema_versions import SchemaVersion, SchemaVersions


@dataclass(frozen=True)
class SchemaHistory:
    """The versions of a pipeline's schema and the rows of `ops.schema_changes` on them, both oldest first."""

    versions: tuple[SchemaVersion, ...]
    changes: tuple[dict[str, Any], ...]


def schema_history(project: Project, pipeline: str) -> SchemaHistory:
    """Every version on record; none before the first batch, and none for a database or a query.

    Raises ConfigError where no such pipeline is declared.
    """
    project.document("pipelines", pipeline)
    recorded = SchemaVersions(project.lake_root, pipeline)
    return SchemaHistory(tuple(recorded.all()), tuple(recorded.changes()))
