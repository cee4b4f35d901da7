"""The rows of a replay: chosen in bronze, corrected where that is asked, and made an extract like any other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.ingestion.schemas.columns import PlannedSchema
from lakeloop.ingestion.schemas.planning import SchemaPlanner
from lakeloop.ingestion.source_specs import KafkaSource, RestSource
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files.columnar import union_by_name
from lakeloop.ingestion.sources.files.conforming import conform_to_schema
from lakeloop.ingestion.sources.line_parsers import TEXT, form_findings
from lakeloop.ingestion.sources.protocol import POSITION, Extract, RereadingSource
from lakeloop.ingestion.sources.replay.edits import Edits
from lakeloop.ingestion.sources.replay.fixing import Fixer, edits_of_all, edits_of_rows, fixed
from lakeloop.ingestion.sources.replay.forms import Form
from lakeloop.ingestion.sources.replay.open_rows import CELLS, candidates, closed_rows, readable_once
from lakeloop.ingestion.sources.replay.originals import parse_originals
from lakeloop.ingestion.sources.replay.overlay import corrected, with_corrections
from lakeloop.ingestion.sources.replay.types import typed
from lakeloop.ingestion.sources.replay.values import OriginalReader, message_schemas
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.ingestion.transforms import read_as_text
from lakeloop.lake.ledger import Ledger
from lakeloop.lake.quarantine import Chosen
from lakeloop.lake.schema_versions import SchemaVersions
from lakeloop.lake.tables import Lake

LANDED = (
    "row_id string, batch_id bigint, root_batch_id bigint, origin string, record bigint, original string, "
    f"rows bigint, form int, changes {CELLS}, corrections {CELLS}, line bigint, left_why string, refused string"
)
LANDED_NAMES = tuple(part.split()[0] for part in LANDED.replace(CELLS, "cells").split(", "))
MOST_BATCHES = 10_000  # whose plans are looked up for the schemas of their messages


@dataclass(frozen=True)
class Replays:
    """What somebody asks to have judged again, and why. `again` takes rows that this declaration has refused before.

    With `fix`, rows are corrected first, and those that it changes nothing of stay as they are.
    """

    chosen: Chosen = field(default_factory=Chosen)
    why: str = ""
    again: bool = False
    fix: Edits | None = None

    @property
    def as_json(self) -> dict[str, Any]:
        """What a plan keeps of it; not the values, which may be personal."""
        chosen = {"rule": self.chosen.rule, "origin": self.chosen.origin, "row": self.chosen.row}
        return {"chosen": chosen, "why": self.why, "again": self.again, "is_fix": self.fix is not None}


@dataclass(frozen=True)
class Selection:
    """Rows of LANDED, the forms that their `form` counts from 0, and the columns that their originals have.

    `schema` is that of a source of files or of an API.
    """

    rows: DataFrame
    forms: tuple[Form, ...]
    fields: tuple[str, ...]
    schema: PlannedSchema | None = None


def schema_planner(root: str, spec: PipelineSpec) -> SchemaPlanner | None:
    """Who knows the columns of a source of files or of an API."""
    if not isinstance(spec.source, FilesSource | RestSource):
        return None
    return SchemaPlanner(spec.source, SchemaVersions(root, spec.pipeline), read_as_text(spec.transforms))


def columns_of_source(root: str, spec: PipelineSpec) -> tuple[str, ...] | None:
    """The columns that rows of a source may have; None where each row says its own, as those of a database."""
    if (planner := schema_planner(root, spec)) is not None:
        return tuple(planner.current().schema.names)
    if not isinstance(spec.source, KafkaSource):
        return None
    message = spec.source.message
    return (*spec.source.columns, *(name for name in (message.key, message.timestamp) if name is not None))


def reader_of(
    root: str, spec: PipelineSpec, forms: tuple[Form, ...], batches: Sequence[int], schema: PlannedSchema | None
) -> OriginalReader:
    """Who reads originals without Spark; `batches` are those that they first came in with."""
    if schema is not None:
        return OriginalReader(spec.source, forms, tuple(schema.schema.names), schema.aliases)
    if isinstance(spec.source, KafkaSource):
        schemas = message_schemas(Ledger(root), spec.pipeline, batches)
        return OriginalReader(spec.source, forms, spec.source.columns, schemas=schemas)
    return OriginalReader(spec.source, forms, None)


def select_rows(
    lake: Lake,
    spec: PipelineSpec,
    asked: Replays,
    *,
    judged_by: str,
    open_batch: int | None = None,
    edits: DataFrame | None = None,
    has_masks: bool = False,
) -> Selection:
    """The chosen rows, not yet landed; with `fix` those that it changes or cannot change, and why not.

    `edits` are those of a file, as `fixing.edits_frame` has them.
    """
    planner = schema_planner(lake.root, spec)
    schema = planner.current() if planner else None
    known = None if asked.again or asked.fix is not None else judged_by
    rows, forms = candidates(lake, spec, asked.chosen, judged_by=known, open_batch=open_batch)
    nothing = F.lit(None).cast("string")
    if asked.fix is None:
        own = {"changes": F.lit(None).cast(CELLS), "line": F.lit(None).cast("bigint")}
        rows = rows.withColumns(own | {"left_why": nothing, "refused": nothing})
    else:
        batches: list[int] = []
        if isinstance(spec.source, KafkaSource):
            found = rows.select("root_batch_id").distinct().limit(MOST_BATCHES).collect()
            batches = [row["root_batch_id"] for row in found]
        fixer = Fixer(reader_of(lake.root, spec, forms, batches, schema), has_masks)
        if edits is None:
            beside = edits_of_all(rows, dict(asked.fix.cells))
        else:
            beside = edits_of_rows(rows, edits, closed_rows(lake, spec))
        rows = fixed(beside, fixer)
        if edits is not None:  # what was asked for is told by its name, too, where no row has it
            rows = rows.withColumn("row_id", F.coalesce("row_id", "asked_row"))
    is_left = F.col("left_why").isNotNull() | F.col("refused").isNotNull()
    rows = readable_once(rows.withColumn("form", F.when(~is_left, F.col("form")))).select(*LANDED_NAMES)
    if schema is not None:
        return Selection(rows, forms, tuple(schema.schema.names), schema)
    if isinstance(spec.source, KafkaSource):
        return Selection(rows, forms, spec.source.columns)
    # The columns of a database's table, each once: as few as it has ever had.
    keys = rows.select(F.explode(F.json_object_keys("original")).alias("name")).distinct().collect()
    return Selection(rows, forms, tuple(sorted(row["name"] for row in keys)))


def extract_of(
    lake: Lake, spec: PipelineSpec, usual: object, selection: Selection, *, with_ids: bool = False
) -> Extract:
    """Chosen rows as an extract; `with_ids` leaves each row's id in `_position`."""
    landed = selection.rows.where("form IS NOT NULL")
    found = landed.select(F.explode("corrections.column").alias("name")).distinct().collect()
    columns = {row["name"] for row in found}
    is_plain = not columns and not with_ids
    if is_plain:
        place = F.struct("origin", "record").alias(POSITION)
        texts = landed.select("form", F.col("original").alias(TEXT), place, "rows")
    else:
        texts = with_corrections(landed)
    equal = F.explode(F.sequence(F.lit(1), F.col("rows"))).alias("_equal")
    rows = texts.select("form", TEXT, POSITION, equal)
    if isinstance(usual, RereadingSource):
        extract = usual.reread(rows.select(TEXT, POSITION))
        return extract if is_plain else corrected(extract, columns, with_ids=with_ids)
    frames = [
        parse_originals(
            rows.where(F.col("form") == number).select(TEXT, POSITION),
            form,
            spec.source,
            selection.fields,
            selection.schema.aliases if selection.schema else {},
        )
        for number, form in enumerate(selection.forms)
    ]
    extract = Extract(union_by_name(frames, selection.fields), form_findings())
    if not is_plain:
        extract = corrected(extract, columns, with_ids=with_ids)
    if selection.schema is not None and isinstance(spec.source, FilesSource | RestSource):
        what = "file" if isinstance(spec.source, FilesSource) else "answer"
        extract = conform_to_schema(extract.frame, selection.schema, spec.source.schema_rules, what)
    if {form.way for form in selection.forms} != {"columns"}:
        return extract
    return typed(extract, lake.schema(spec.record_table), spec.transforms)
