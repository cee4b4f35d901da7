"""What the tables say of the batches of one pipeline, side by side."""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from lakeloop.core.errors import DamageError
from lakeloop.core.run_record import RowCounts
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.delta_log import list_log, said_of
from lakeloop.lake.file_catalog import FILES
from lakeloop.lake.ledger import BATCHES, RUNS, Plan
from lakeloop.lake.ops_tables import files_of_table, read_rows, uri_of
from lakeloop.lake.tables import Commit
from lakeloop.lake.views import ROUTE, View, find_view
from lakeloop.repair.logs import PLACEHOLDER

Row = dict[str, Any]
ENDS = ("succeeded", "withdrawn")


@dataclass(frozen=True)
class Facts:
    """One reading of a pipeline's tables; each part is read when it is asked for."""

    root: str
    spec: PipelineSpec
    folder: str | None = None  # that the source reads files from

    @cached_property
    def planned(self) -> Mapping[int, Row]:
        """The rows of `ops.batches` by number."""
        return {row["batch_id"]: row for row in read_rows(self.root, BATCHES, [("pipeline", "=", self.spec.pipeline)])}

    @cached_property
    def runs(self) -> list[Row]:
        """The rows of `ops.runs` that name a batch, oldest first."""
        rows = read_rows(self.root, RUNS, [("name", "=", self.spec.pipeline)])
        return sorted((row for row in rows if row["batch_id"] is not None), key=lambda row: row["ended_at"])

    @cached_property
    def ends(self) -> Mapping[int, Row]:
        """How batches ended, by number."""
        return {row["batch_id"]: row for row in self.runs if row["outcome"] in ENDS}

    @cached_property
    def files(self) -> Mapping[int, list[Row]]:
        """The files of each batch in the catalog."""
        found: dict[int, list[Row]] = defaultdict(list)
        for row in read_rows(self.root, FILES, [("pipeline", "=", self.spec.pipeline)]):
            if row["batch_id"] is not None and row["outcome"] in ("read", "refused"):
                found[row["batch_id"]].append(row)
        return found

    @cached_property
    def recorded(self) -> Mapping[int, Mapping[str, RowCounts]]:
        """The rows of the record by batch and origin."""
        found: dict[int, dict[str, RowCounts]] = defaultdict(lambda: defaultdict(RowCounts))
        if not self._has_record:
            return found
        wanted = {"batch": pc.field("_batch_id"), "verdict": pc.field("_verdict")}
        table = self.spec.record_table
        rows = DeltaTable(uri_of(self.root, table)).to_pyarrow_dataset(filesystem=files_of_table(self.root, table))
        for part in rows.to_batches(columns=wanted | {"origin": pc.field("_position", "origin")}):
            grouped = pa.table(part).group_by(["batch", "origin", "verdict"]).aggregate([([], "count_all")])
            for row in grouped.to_pylist():
                counts = RowCounts(row["count_all"], **{row["verdict"]: row["count_all"]})
                found[row["batch"]][row["origin"] or ""] += counts
        return found

    @cached_property
    def commits(self) -> Mapping[int, Commit]:
        """The commits to the record that brought a batch, as far as its log goes back."""
        return {said["batch_id"]: Commit(**said) for said in self._said if not _withdraws(said)}

    @cached_property
    def times(self) -> Mapping[int, dt.datetime]:
        """When the commits of batches to the record were made."""
        found = {}
        for _, actions in list_log(uri_of(self.root, self.spec.record_table)).history():
            said = said_of(actions)
            if said and not _withdraws(said):
                made = next(action["commitInfo"]["timestamp"] for action in actions if "commitInfo" in action)
                found[said["batch_id"]] = dt.datetime.fromtimestamp(made / 1000, dt.UTC)
        return found

    @property
    def succeeded(self) -> list[int]:
        """Batches with a plan that succeeded, oldest first."""
        return sorted(n for n, end in self.ends.items() if end["outcome"] == "succeeded" and n in self.planned)

    @cached_property
    def has_lost_commits(self) -> bool:
        """Whether an earlier repair had to replace commits of the record."""
        log = list_log(uri_of(self.root, self.spec.record_table))
        said = (action.get("commitInfo") or {} for _, actions in log.history() for action in actions)
        return any(info.get("operation") == PLACEHOLDER for info in said)

    def view(self, table: str) -> View | None:
        """The view that readers see, None where there is none or its file is torn."""
        try:
            return find_view(uri_of(self.root, table))
        except DamageError:
            return None

    def shows(self, batch_id: int) -> bool:
        """Whether a table that only grows shows a batch."""
        views = [self.view(target.table) for target in self.spec.targets if target.mode == "append"]
        return any(view is not None and view.accepted >= batch_id for view in views)

    @cached_property
    def routes(self) -> Mapping[int, set[str | None]]:
        """The routes of the good rows of the record by batch; none where it is the record of one table."""
        found: dict[int, set[str | None]] = defaultdict(set)
        table = self.spec.record_table
        if not self._has_record or self.spec.sink.routes is None:
            return found
        rows = DeltaTable(uri_of(self.root, table)).to_pyarrow_dataset(filesystem=files_of_table(self.root, table))
        if ROUTE not in rows.schema.names:
            return found
        for part in rows.to_batches(columns=["_batch_id", ROUTE], filter=pc.field("_verdict") == "good"):
            for row in pa.table(part).group_by(["_batch_id", ROUTE]).aggregate([]).to_pylist():
                found[row["_batch_id"]].add(row[ROUTE])
        return found

    def counts(self, batch_id: int) -> RowCounts:
        """The rows of a batch in the record; what was read is their sum."""
        return sum(self.recorded[batch_id].values(), RowCounts()) if batch_id in self.recorded else RowCounts()

    def plan(self, batch_id: int) -> Plan:
        """The plan of a batch in `ops.batches`."""
        return Plan.of_json(self.planned[batch_id]["plan"])

    def has_commit(self, batch_id: int) -> bool:
        """Whether the record's log has the commit of a batch, or does not go back that far."""
        if batch_id in self.commits:
            return True
        return not self.has_lost_commits and bool(self.commits) and batch_id < min(self.commits) and not self._whole_log

    @cached_property
    def _whole_log(self) -> bool:
        return 0 in list_log(uri_of(self.root, self.spec.record_table)).commits

    @cached_property
    def _said(self) -> list[Row]:
        log = list_log(uri_of(self.root, self.spec.record_table))
        return [said for _, actions in log.history() if (said := said_of(actions))]

    @cached_property
    def _has_record(self) -> bool:
        return list_log(uri_of(self.root, self.spec.record_table)).latest is not None


def _withdraws(said: Row) -> bool:
    return str(said["writer"]).endswith("-withdrawn")
