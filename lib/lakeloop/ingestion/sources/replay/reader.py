"""Quarantined rows as a source: chosen once and landed, judged as a batch, and closed when that batch is published."""

import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyarrow import fs
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.landings import landing_folder
from lakeloop.ingestion.schemas.columns import PlannedSchema
from lakeloop.ingestion.schemas.planning import SchemaPlanner
from lakeloop.ingestion.source_specs import KafkaSource, RestSource
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.backfill import Backfill
from lakeloop.ingestion.sources.files.columnar import union_by_name
from lakeloop.ingestion.sources.files.conforming import conform_to_schema
from lakeloop.ingestion.sources.line_parsers import TEXT, form_findings
from lakeloop.ingestion.sources.protocol import (
    POSITION,
    Ended,
    ExplainingSource,
    Extract,
    MovingSource,
    Progress,
    RereadingSource,
    SiftingSource,
    Source,
)
from lakeloop.ingestion.sources.replay.forms import Form, require_replayable
from lakeloop.ingestion.sources.replay.open_rows import candidates
from lakeloop.ingestion.sources.replay.originals import parse_originals
from lakeloop.ingestion.sources.replay.types import typed
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.ingestion.transforms import read_as_text
from lakeloop.lake.ledger import Plan
from lakeloop.lake.quarantine import Chosen, append_decisions, decisions, has_replayed, row_id
from lakeloop.lake.schema_versions import SchemaVersions
from lakeloop.lake.storage import filesystem
from lakeloop.lake.tables import Lake

LANDED = (
    "row_id string, batch_id bigint, root_batch_id bigint, origin string, record bigint, original string, "
    "rows bigint, form int"
)


@dataclass(frozen=True)
class Replays:
    """What somebody asks to have judged again, and why. `again` takes rows that this declaration has refused before."""

    chosen: Chosen = field(default_factory=Chosen)
    why: str = ""
    again: bool = False


@dataclass(frozen=True)
class Selection:
    """Rows of LANDED, the forms that their `form` counts from 0, and the columns that their originals have.

    `schema` is that of a source of files or of an API.
    """

    rows: DataFrame
    forms: tuple[Form, ...]
    fields: tuple[str, ...]
    schema: PlannedSchema | None = None


@dataclass(frozen=True)
class ReplayReader:
    """Reads the open quarantined rows of one pipeline from their originals, one row per quarantined row.

    `usual` is the source that the rows came from; it is asked where only it can make rows of originals.
    """

    lake: Lake
    spec: PipelineSpec
    asked: Replays = field(default_factory=Replays)
    usual: object = None

    def plan(self, _last: Plan | None, progress: Progress, /) -> Plan | None:
        """Land the chosen rows, so that the plan names them exactly. None: no row is open that can be parsed.

        Raises ConfigError for a pipeline whose rows come again by themselves.
        """
        progress("choosing quarantined rows")
        folder = f"{landing_folder(self.lake.root, self.spec.pipeline)}/replay-{uuid.uuid4().hex}"
        selection = self.select()
        if selection is None:
            return None
        selection.rows.write.parquet(folder)
        landed = self.lake.spark.read.schema(LANDED).parquet(folder)
        found = {row["readable"]: row["rows"] or 0 for row in _counted(landed)}
        plan = Plan(
            {
                "replay": {
                    "landed": folder,
                    "rows": found.get(True, 0),
                    "left_out": found.get(False, 0),
                    "forms": [asdict(form) for form in selection.forms],
                    "fields": list(selection.fields),
                    "judged_by": self.judged_by(),
                    **asdict(self.asked),
                },
                **({"schema": selection.schema.as_json} if selection.schema else {}),
            },
            _summary(found.get(True, 0), found.get(False, 0)),
            kind="replay",
        )
        if found.get(True, 0):
            return plan
        self.release(plan)
        return None

    def select(self, open_batch: int | None = None) -> Selection | None:
        """The chosen rows, not yet landed; None where no row was ever recorded."""
        require_replayable(self.spec)
        if not self.lake.exists(self.spec.record_table):
            return None
        known = None if self.asked.again else self.judged_by()
        rows, forms = candidates(self.lake, self.spec, self.asked.chosen, judged_by=known, open_batch=open_batch)
        if self._schemas is not None:
            schema = self._schemas.current()
            return Selection(rows, forms, tuple(schema.schema.names), schema)
        if isinstance(self.spec.source, KafkaSource):
            return Selection(rows, forms, self.spec.source.columns)
        # The columns of a database's table, each once: as few as it has ever had.
        keys = rows.select(F.explode(F.json_object_keys("original")).alias("name")).distinct().collect()
        return Selection(rows, forms, tuple(sorted(row["name"] for row in keys)))

    def read(self, plan: Plan) -> Extract:
        """The landed rows, parsed as their formats are declared now, each at the place where it first stood."""
        details = plan.details["replay"]
        landed = self.lake.spark.read.schema(LANDED).parquet(details["landed"])
        forms = tuple(Form(**{**form, "header": tuple(form["header"])}) for form in details["forms"])
        schema = PlannedSchema.of_json(plan.details["schema"]) if "schema" in plan.details else None
        return self.extract(Selection(landed, forms, tuple(details["fields"]), schema))

    def rehearsal(self, open_batch: int | None) -> Extract | None:
        """The chosen rows without a plan, so without a trace; None where there is none."""
        selection = self.select(open_batch)
        found = {row["readable"]: row["rows"] for row in _counted(selection.rows)} if selection else {}
        return self.extract(selection) if selection and found.get(True) else None

    def extract(self, selection: Selection) -> Extract:
        """Chosen rows as an extract."""
        equal = F.explode(F.sequence(F.lit(1), F.col("rows"))).alias("_equal")
        place = F.struct("origin", "record").alias(POSITION)
        rows = selection.rows.where("form IS NOT NULL").select("form", F.col("original").alias(TEXT), place, equal)
        if isinstance(self.usual, RereadingSource):
            return self.usual.reread(rows.select(TEXT, POSITION))
        frames = [
            parse_originals(
                rows.where(F.col("form") == number).select(TEXT, POSITION),
                form,
                self.spec.source,
                selection.fields,
                selection.schema.aliases if selection.schema else {},
            )
            for number, form in enumerate(selection.forms)
        ]
        parsed = union_by_name(frames, selection.fields)
        if selection.schema is not None and isinstance(self.spec.source, FilesSource | RestSource):
            what = "file" if isinstance(self.spec.source, FilesSource) else "answer"
            extract = conform_to_schema(parsed, selection.schema, self.spec.source.schema_rules, what)
        else:
            extract = Extract(parsed, form_findings())
        if {form.way for form in selection.forms} != {"columns"}:
            return extract
        return typed(extract, self.lake.schema(self.spec.record_table), self.spec.transforms)

    def finish(self, ended: Ended) -> None:
        """Close the rows that were judged, under the batch that has them now, in one commit."""
        if self._schemas is not None and "schema" in ended.plan.details:
            self._schemas.record(PlannedSchema.of_json(ended.plan.details["schema"]), ended.run)
        if not has_replayed(self.lake.root, self.spec.pipeline, ended.batch_id):
            append_decisions(self.lake.root, self._decisions(ended))

    def release(self, plan: Plan) -> None:
        """Delete the landed rows; bronze has them."""
        system, path = filesystem(plan.details["replay"]["landed"])
        if system.get_file_info(path).type is not fs.FileType.NotFound:
            system.delete_dir(path)

    @property
    def _schemas(self) -> SchemaPlanner | None:
        if not isinstance(self.spec.source, FilesSource | RestSource):
            return None
        versions = SchemaVersions(self.lake.root, self.spec.pipeline)
        return SchemaPlanner(self.spec.source, versions, read_as_text(self.spec.transforms))

    def judged_by(self) -> str:
        """Tells one state of the declaration, and of the tables that it looks into, from another."""
        declared = self.spec.model_dump_json(exclude={"columns", "keep", "owner", "description"})
        versions = {name: self.lake.version(name) for name in sorted(self.spec.looked_into) if self.lake.exists(name)}
        return hashlib.sha256(f"{declared}{json.dumps(versions)}".encode()).hexdigest()[:16]

    def _decisions(self, ended: Ended) -> Iterator[pa.RecordBatch]:
        from pyarrow import dataset  # brings pandas, which takes most of a second

        details: dict[str, Any] = ended.plan.details["replay"]
        system, path = filesystem(details["landed"])
        landed = dataset.dataset(path, filesystem=system, format="parquet")
        columns = ["row_id", "batch_id", "root_batch_id", "origin", "record", "original", "rows"]
        for batch in landed.to_batches(columns=columns, filter=dataset.field("form").is_valid()):
            rows = batch.to_pylist()
            new = [row_id(ended.batch_id, row["origin"], row["record"], row["original"]) for row in rows]
            yield decisions(
                batch.drop_columns(["original"]),
                self.spec.pipeline,
                "replayed",
                ended.run,
                details["why"],
                new_row_id=pa.array(new, pa.string()),
                replayed_to=ended.batch_id,
                judged_by=details["judged_by"],
            )


@dataclass(frozen=True)
class WithReplays:
    """A pipeline's source and its replays: whichever planned a batch reads and ends it, whoever comes to finish it.

    With `is_asked` replays are planned, with `backfill` what the source read before; the source reads that itself.
    """

    usual: Source
    replays: ReplayReader
    is_asked: bool = False
    backfill: Backfill | None = None

    def plan(self, last: Plan | None, progress: Progress, /) -> Plan | None:
        """The next batch of the one that is asked."""
        if self.backfill is not None:
            return self.backfill.plan(last, progress)
        return self.replays.plan(last, progress) if self.is_asked else self.usual.plan(last, progress)

    def read(self, plan: Plan) -> Extract:
        """The rows of a plan of either."""
        return self._planner(plan).read(plan)

    def finish(self, ended: Ended) -> None:
        """Note what became of a batch of either."""
        self._planner(ended.plan).finish(ended)

    def release(self, plan: Plan) -> None:
        """Free what a plan of either holds."""
        self._planner(plan).release(plan)

    def without_unreadable(self, plan: Plan) -> Plan | None:
        """What the source says of a plan of its own; a replay reads no files."""
        if plan.kind == "replay" or not isinstance(self.usual, SiftingSource):
            return None
        return self.usual.without_unreadable(plan)

    def explain(self, failure: PySparkException | Py4JJavaError) -> SourceError | None:
        """What the source says of a failure, if it knows it for its own."""
        return self.usual.explain(failure) if isinstance(self.usual, ExplainingSource) else None

    def has_moved(self, plan: Plan, /) -> bool:
        """What the source says of a plan of its own; what is replayed has landed."""
        return plan.kind != "replay" and isinstance(self.usual, MovingSource) and self.usual.has_moved(plan)

    def _planner(self, plan: Plan) -> Source:
        return self.replays if plan.kind == "replay" else self.usual


def _counted(landed: DataFrame) -> list[Any]:
    return landed.groupBy(F.col("form").isNotNull().alias("readable")).agg(F.sum("rows").alias("rows")).collect()


def _summary(rows: int, left_out: int) -> str:
    said = f"{rows:,} quarantined rows replayed" if rows != 1 else "1 quarantined row replayed"
    return said + (f", {left_out:,} left open: their text or their header is not whole" if left_out else "")
