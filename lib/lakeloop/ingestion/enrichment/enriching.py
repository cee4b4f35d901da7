"""From declared enrichments to enriched rows: each is prepared, then joined to the rows of the batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql.types import StructType

from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.conform_types import keep_known_types
from lakeloop.ingestion.enrichment.http_lookup import PreparedHttp, prepare_http
from lakeloop.ingestion.enrichment.model_answers import TYPES, PreparedModel, prepare_model
from lakeloop.ingestion.enrichment.outcomes import outcome_column
from lakeloop.ingestion.enrichment.spec import Enrichment
from lakeloop.ingestion.enrichment.table_lookup import PreparedTable, prepare_table
from lakeloop.ingestion.http.service import Service
from lakeloop.ingestion.transforms import Conformed
from lakeloop.lake.tables import Lake

Prepared = PreparedHttp | PreparedTable | PreparedModel


@dataclass(frozen=True)
class Enriched:
    """Rows with all added columns, the hidden columns that bronze keeps, and what a person should hear of it."""

    rows: Conformed
    outcomes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def enrich(
    rows: Conformed,
    ahead: Conformed,
    declared: Sequence[Enrichment],
    *,
    lake: Lake,
    services: Mapping[str, Service],
    known: StructType | None,
) -> Enriched:
    """Add the columns of all enrichments in order, so that one may look up what another has added.

    `ahead` is the same rows again, to learn the keys from: what is observed of `rows` happens in one pass only. A
    column that the record table has in another type (`known`) is kept in that type, as columns of sources are.
    Raises TableError where a look-up does not fit the rows or its table, ConfigError for a service that was not
    opened or would be asked for too much, ModelError for a model that has no champion without Spark.
    """
    notes: list[str] = []
    casts: dict[str, str] = {}
    for each in declared:
        if each.http:
            if (service := services.get(each.http.rest)) is None:
                raise ConfigError(f"enrichment {each.name}: the connection {each.http.rest} has not been opened")
            casts |= {column: field.type for column, field in each.http.columns.items()}
            prepared: Prepared = prepare_http(each.name, each.http, ahead, service, lake)
        elif each.score:
            casts |= {column: TYPES[answer] for column, answer in each.score.columns.items()}
            prepared = prepare_model(each.name, each.score, lake)
        else:
            assert each.lookup is not None
            prepared = prepare_table(each.name, each.lookup, lake)
        rows, ahead = prepared.attach(rows), prepared.attach(ahead)
        notes += prepared.notes
    if declared:
        rows = keep_known_types(rows, known, casts)
    return Enriched(rows, tuple(outcome_column(each.name) for each in declared), tuple(notes))
