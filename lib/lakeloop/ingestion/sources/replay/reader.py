"""Quarantined rows as a source: chosen once and landed, judged as a batch, and closed when that batch is published."""

import hashlib
import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from lakeloop.core.errors import ConfigError, LakeloopError
from lakeloop.ingestion.landings import landing_folder
from lakeloop.ingestion.schemas.columns import PlannedSchema
from lakeloop.ingestion.sources.protocol import (
    Ended,
    Extract,
    Progress,
)
from lakeloop.ingestion.sources.replay.edits import Edit, read_edits
from lakeloop.ingestion.sources.replay.fixing import EDITS, edits_frame, land_edits
from lakeloop.ingestion.sources.replay.forms import Form, require_replayable
from lakeloop.ingestion.sources.replay.selection import (
    LANDED,
    Replays,
    Selection,
    columns_of_source,
    extract_of,
    schema_planner,
    select_rows,
)
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.ledger import Plan
from lakeloop.lake.quarantine import SHOWN, row_id
from lakeloop.lake.quarantine_decisions import append_decisions, decisions, has_replayed
from lakeloop.lake.storage import filesystem
from lakeloop.lake.tables import Lake

MOST_REHEARSED = 10_000  # rows of such a file that a rehearsal looks at, since it lands nothing
MOST_NAMED = 20  # rows that are told one by one


@dataclass
class Found:
    """What a fix found: how many rows it changes, and the first of those that it leaves, each with its reason.

    `was_cut` says that a rehearsal has looked at the first rows of a file alone.
    """

    rows: int = 0
    columns: tuple[str, ...] = ()
    left: int = 0
    named: list[tuple[str, str]] = field(default_factory=list)
    was_cut: bool = False


@dataclass(frozen=True)
class ReplayReader:
    """Reads the open quarantined rows of one pipeline from their originals, one row per quarantined row.

    `usual` is the source that the rows came from; it is asked where only it can make rows of originals.
    """

    lake: Lake
    spec: PipelineSpec
    asked: Replays = field(default_factory=Replays)
    usual: object = None
    has_masks: bool = False
    found: Found = field(default_factory=Found, repr=False, compare=False)

    def plan(self, _last: Plan | None, progress: Progress, /) -> Plan | None:
        """Land the chosen rows, so that the plan names them exactly. None: no row is open that can be parsed.

        Raises ConfigError for a pipeline whose rows come again by themselves, and for a mistake in what is asked.
        """
        progress("choosing quarantined rows")
        folder = f"{landing_folder(self.lake.root, self.spec.pipeline)}/replay-{uuid.uuid4().hex}"
        try:
            selection = self.select(edits=self._landed_edits(f"{folder}/edits"))
            if selection is None:
                return None
            selection.rows.write.parquet(f"{folder}/rows")
            landed = self.lake.spark.read.schema(LANDED).parquet(f"{folder}/rows")
            self.examine(landed)
        except LakeloopError:
            self._delete(folder)
            raise
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
                    **self.asked.as_json,
                },
                **({"schema": selection.schema.as_json} if selection.schema else {}),
            },
            self._summary(found.get(True, 0), found.get(False, 0)),
            kind="replay",
        )
        if found.get(True, 0):
            return plan
        self.release(plan)
        return None

    def select(self, open_batch: int | None = None, edits: DataFrame | None = None) -> Selection | None:
        """The chosen rows, not yet landed; None where no row was ever recorded."""
        require_replayable(self.spec)
        if not self.lake.exists(self.spec.record_table):
            return None
        return select_rows(
            self.lake,
            self.spec,
            self.asked,
            judged_by=self.judged_by(),
            open_batch=open_batch,
            edits=edits,
            has_masks=self.has_masks,
        )

    def examine(self, rows: DataFrame) -> None:
        """Note what a fix does to rows of LANDED. Raises ConfigError for a mistake, naming rows that have it."""
        if self.asked.fix is None:
            return
        refused = rows.where("refused IS NOT NULL").orderBy("line", "row_id").limit(MOST_NAMED).collect()
        if refused:
            said = "; ".join(f"{self._said(row)}: {row['refused']}" for row in refused[:3])
            more = f", and {len(refused) - 3} more rows like these" if len(refused) > 3 else ""
            raise ConfigError(f"{self.spec.pipeline}: nothing was fixed: {said}{more}")
        left, fixed = rows.where("left_why IS NOT NULL"), rows.where("form IS NOT NULL")
        first = left.orderBy("line", "row_id").limit(MOST_NAMED).collect()
        names = fixed.select(F.explode("changes.column").alias("name")).distinct().collect()
        self.found.rows = fixed.agg(F.sum("rows").alias("n")).collect()[0]["n"] or 0
        self.found.columns = tuple(sorted(row["name"] for row in names))
        self.found.left = left.count() if len(first) == MOST_NAMED else len(first)
        self.found.named = [(self._said(row), row["left_why"]) for row in first]

    def read(self, plan: Plan) -> Extract:
        """The landed rows, parsed as their formats are declared now, each at the place where it first stood."""
        details = plan.details["replay"]
        landed = self.lake.spark.read.schema(LANDED).parquet(f"{details['landed']}/rows")
        forms = tuple(Form(**{**form, "header": tuple(form["header"])}) for form in details["forms"])
        schema = PlannedSchema.of_json(plan.details["schema"]) if "schema" in plan.details else None
        selection = Selection(landed, forms, tuple(details["fields"]), schema)
        return extract_of(self.lake, self.spec, self.usual, selection)

    def rehearsal(self, open_batch: int | None) -> Selection | None:
        """The chosen rows without a plan, so without a trace; None where there is none.

        Of a file of corrections the first rows are looked at, MOST_REHEARSED of them.
        """
        fix, edits = self.asked.fix, None
        if fix is not None and fix.file is not None:
            asked = self._edits(fix.file)
            edits = edits_frame(self.lake.spark, islice(asked, MOST_REHEARSED))
            self.found.was_cut = next(asked, None) is not None
        selection = self.select(open_batch, edits)
        if selection is None:
            return None
        selection = replace(selection, rows=selection.rows.persist())
        self.examine(selection.rows)
        if any(row["readable"] for row in _counted(selection.rows)):
            return selection
        selection.rows.unpersist()
        return None

    def finish(self, ended: Ended) -> None:
        """Close the rows that were judged, under the batch that has them now, in one commit."""
        planner = schema_planner(self.lake.root, self.spec)
        if planner is not None and "schema" in ended.plan.details:
            planner.record(PlannedSchema.of_json(ended.plan.details["schema"]), ended.run)
        if not has_replayed(self.lake.root, self.spec.pipeline, ended.batch_id):
            append_decisions(self.lake.root, self._decisions(ended))

    def release(self, plan: Plan) -> None:
        """Delete the landed rows; bronze has them."""
        self._delete(plan.details["replay"]["landed"])

    def _delete(self, folder: str) -> None:
        system, path = filesystem(folder)
        if system.get_file_info(path).type is not fs.FileType.NotFound:
            system.delete_dir(path)

    def _edits(self, file: Path) -> Iterator[Edit]:
        return read_edits(file, self.spec.pipeline, columns_of_source(self.lake.root, self.spec))

    def _landed_edits(self, folder: str) -> DataFrame | None:
        """A file of corrections where executors reach it."""
        if self.asked.fix is None or self.asked.fix.file is None:
            return None
        land_edits(self._edits(self.asked.fix.file), folder)
        return self.lake.spark.read.schema(EDITS).parquet(folder)

    def _said(self, row: Row) -> str:
        assert self.asked.fix is not None
        line = f"{self.asked.fix.file}:{row['line']}: " if row["line"] is not None else ""
        return f"{line}row {row['row_id'][:SHOWN]}"

    def _summary(self, rows: int, left_out: int) -> str:
        done = "replayed" if self.asked.fix is None else "fixed"
        said = f"{rows:,} quarantined rows {done}" if rows != 1 else f"1 quarantined row {done}"
        if self.asked.fix is None:
            return said + (f", {left_out:,} left open: their text or their header is not whole" if left_out else "")
        said += f" ({', '.join(self.found.columns)})" if self.found.columns else ""
        return said + (f", {self.found.left:,} left as they are" if self.found.left else "")

    def judged_by(self) -> str:
        """Tells one state of the declaration, and of the tables that it looks into, from another."""
        declared = self.spec.model_dump_json(exclude={"columns", "keep", "owner", "description"})
        versions = {name: self.lake.version(name) for name in sorted(self.spec.looked_into) if self.lake.exists(name)}
        return hashlib.sha256(f"{declared}{json.dumps(versions)}".encode()).hexdigest()[:16]

    def _decisions(self, ended: Ended) -> Iterator[pa.RecordBatch]:
        from pyarrow import dataset  # brings pandas, which takes most of a second

        details: dict[str, Any] = ended.plan.details["replay"]
        system, path = filesystem(f"{details['landed']}/rows")
        landed = dataset.dataset(path, filesystem=system, format="parquet")
        own = ["row_id", "batch_id", "root_batch_id", "origin", "record", "rows", "changes", "corrections"]
        columns = [*own, "original"]
        for batch in landed.to_batches(columns=columns, filter=dataset.field("form").is_valid()):
            places = batch.select(["origin", "record", "original"]).to_pylist()
            new = [row_id(ended.batch_id, row["origin"], row["record"], row["original"]) for row in places]
            yield decisions(
                batch.drop_columns(["original"]),
                self.spec.pipeline,
                "fixed" if details["is_fix"] else "replayed",
                ended.run,
                details["why"],
                new_row_id=pa.array(new, pa.string()),
                replayed_to=ended.batch_id,
                judged_by=details["judged_by"],
            )


def _counted(landed: DataFrame) -> list[Any]:
    return landed.groupBy(F.col("form").isNotNull().alias("readable")).agg(F.sum("rows").alias("rows")).collect()
