"""What a user may write under `source:` in `pipelines/<name>.yml`: one module per kind, told apart by its first key.

Nothing here imports Spark, so that declarations are checked without it.
"""

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from lakeloop.core.documents import Declaration
from lakeloop.ingestion.source_specs.cdc import CdcSource
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.source_specs.jdbc import JdbcSource
from lakeloop.ingestion.source_specs.join import JoinSource
from lakeloop.ingestion.source_specs.kafka import KafkaSource
from lakeloop.ingestion.source_specs.query import QuerySource
from lakeloop.ingestion.source_specs.rest import RestSource
from lakeloop.ingestion.source_specs.tables import TablesSource

LakeSource = QuerySource | JoinSource | TablesSource  # what reads tables: each says which in `data_sets`
KINDS = ("cdc", "files", "jdbc", "join", "kafka", "query", "rest", "tables")


def _kind_of_source(value: Any) -> str | None:
    given = value if isinstance(value, dict) else value.__dict__ if isinstance(value, Declaration) else {}
    # A database may be asked by a query of its own; a query over the lake stands without a connection.
    found = [kind for kind in KINDS if kind in given and not (kind == "query" and "jdbc" in given)]
    return f"{found[0]}_source" if len(found) == 1 else None  # not a key, or errors would show the line of that key


Source = Annotated[
    Annotated[JdbcSource, Tag("jdbc_source")]
    | Annotated[RestSource, Tag("rest_source")]
    | Annotated[FilesSource, Tag("files_source")]
    | Annotated[CdcSource, Tag("cdc_source")]
    | Annotated[KafkaSource, Tag("kafka_source")]
    | Annotated[QuerySource, Tag("query_source")]
    | Annotated[JoinSource, Tag("join_source")]
    | Annotated[TablesSource, Tag("tables_source")],
    Discriminator(
        _kind_of_source,
        custom_error_type="source",
        custom_error_message=f"a source has exactly one of the keys {', '.join(KINDS)}",
    ),
]

__all__ = [
    "CdcSource",
    "FilesSource",
    "JdbcSource",
    "JoinSource",
    "KafkaSource",
    "LakeSource",
    "QuerySource",
    "RestSource",
    "Source",
    "TablesSource",
]
