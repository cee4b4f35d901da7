"""Data contracts: a pipeline as one, and one as the parts of a pipeline."""

from pathlib import Path

import pyarrow as pa
import yaml

from lakeloop.catalog.contracts import contract_of, pipeline_part
from lakeloop.core.config import Project
from lakeloop.core.documents import Document
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.lake.open_tables import open_table, table_names


def export_contract(project: Project, pipeline: str, version: str = "1.0.0") -> str:
    """A pipeline's contract as YAML, by the Open Data Contract Standard; starts no Spark.

    The columns and types are those of its tables, where they exist. Raises ConfigError for an unknown pipeline.
    """
    spec, there = load_pipeline(project, pipeline), table_names(project.lake_root)
    schemas: dict[str, pa.Schema] = {
        table: open_table(project.lake_root, table).schema for table in spec.tables if table in there
    }
    text: str = yaml.safe_dump(contract_of(spec, schemas, version), sort_keys=False, allow_unicode=True, width=110)
    return text


def import_contract(file: Path, schema: str | None = None) -> str:
    """The parts of a pipeline that a contract speaks of, as YAML; see `pipeline_part`. Reads no project."""
    return pipeline_part(Document.load(file), schema)
