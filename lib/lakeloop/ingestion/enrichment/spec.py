"""What a user may write under `enrich:` in `pipelines/<name>.yml`."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from lakeloop.core.documents import ONE_KEY, Declaration, unknown_key
from lakeloop.ingestion.enrichment.http_spec import HttpLookup
from lakeloop.ingestion.enrichment.match_spec import Matching
from lakeloop.ingestion.enrichment.score_spec import ModelScore
from lakeloop.ingestion.field_names import FieldName
from lakeloop.ingestion.table_spec import TableReference
from lakeloop.quality import COUNTED


class AsOf(Declaration):
    """The version of a key at the time of an event, rather than the present one."""

    event_time: FieldName = Field(description="Column of the batch; where it is NULL nothing matches")
    time: FieldName | None = Field(
        default=None, description="Column that says since when a row of the table holds; default: an SCD2 table's own"
    )


class TableLookup(Matching):
    """Columns from the one row of a table of the lake that has the batch's keys."""

    table: TableReference
    on: dict[FieldName, FieldName] = Field(min_length=1, description="Column of the batch: column of the table")
    columns: dict[FieldName, FieldName] = Field(min_length=1, description="New column: column of the table")
    as_of: AsOf | None = None


KINDS = ("lookup", "http", "score")


class Enrichment(Declaration):
    """One entry of `enrich`: a mapping with the kind as its only key."""

    model_config = ONE_KEY

    lookup: TableLookup | None = None
    http: HttpLookup | None = None
    score: ModelScore | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_kind(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or len(value) != 1:
            raise ValueError("an enrichment is one entry 'lookup: {…}', 'http: {…}' or 'score: {…}'")
        if (kind := next(iter(value))) not in KINDS:
            raise unknown_key(str(kind), list(KINDS), "enrichment")
        return value

    @property
    def declared(self) -> TableLookup | HttpLookup | ModelScore:
        """What is looked up or asked, and where."""
        kind = self.lookup or self.http or self.score
        assert kind is not None
        return kind

    @property
    def name(self) -> str:
        """What its findings and its column in bronze are called after."""
        match self.declared:
            case TableLookup(table=table):
                origin = table.partition(".")[2]
            case HttpLookup(rest=origin) | ModelScore(model=origin):
                pass
        return self.declared.name or re.sub(r"\W", "_", origin).lower()

    @property
    def severities(self) -> dict[str, str]:
        """The findings that it may give, with their severities; `counted` ones leave no mark on a row."""
        missing = {"quarantine": "error", "warn": "warn", None: COUNTED}[self.declared.missing]
        found = {f"{self.name}_matches": missing}
        return found | ({f"{self.name}_stale": "warn", f"{self.name}_fell_back": "warn"} if self.http else {})


def _distinct(enrichments: tuple[Enrichment, ...]) -> tuple[Enrichment, ...]:
    if repeated := _repeated(enrichment.name for enrichment in enrichments):
        raise ValueError(f"two enrichments are called {', '.join(repeated)}; give one a `name`")
    if repeated := _repeated(column.lower() for each in enrichments for column in each.declared.columns):
        raise ValueError(f"{', '.join(repeated)}: a column is added twice")
    return enrichments


def _repeated(names: Iterable[str]) -> list[str]:
    listed = list(names)
    return sorted({name for name in listed if listed.count(name) > 1})


Enrichments = Annotated[tuple[Enrichment, ...], AfterValidator(_distinct)]
