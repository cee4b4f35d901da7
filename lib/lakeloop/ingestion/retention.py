"""What `keep` of a pipeline lets go: old rows by DELETE, files of old versions by VACUUM, both by delta-rs.

The tables that Spark writes for Lakeloop use no feature that delta-rs lacks, and where one does it refuses the commit.
Each rule is a condition on the rows as they are, so doing it twice is doing it once. A view follows its record.
"""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, QueryBuilder
from deltalake.exceptions import DeltaError
from pyarrow import fs

from lakeloop.core.errors import TableError
from lakeloop.ingestion.retention_rules import RowRule, decided_ids, keys_without_record, record_rules, sink_rules
from lakeloop.ingestion.sink_spec import Target
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.open_tables import open_table, table_names
from lakeloop.lake.ops_tables import has_table, uri_of
from lakeloop.lake.quarantine import Quarantine, row_id_sql
from lakeloop.lake.quarantine_decisions import QUARANTINE
from lakeloop.lake.select import quoted
from lakeloop.lake.storage import filesystem
from lakeloop.lake.table_turns import in_turn

DEFAULT_FILE_AGE = dt.timedelta(days=7)
INTERVAL = re.compile(r"(?:interval\s+)?(\d+)\s+(second|minute|hour|day|week)s?", re.IGNORECASE)


@dataclass(frozen=True)
class Due:
    """Rows or files of one table that may go: how many, and in words why; `cells` of decisions made `before`."""

    table: str
    kind: Literal["rows", "files", "cells"]
    found: int
    why: str
    rule: RowRule | None = None
    before: dt.datetime | None = None


def due(root: str, spec: PipelineSpec, now: dt.datetime) -> Iterator[Due]:
    """Everything that `keep` lets go at a time, of the tables before their record and rows before files.

    Raises ConfigError when the age of a table's rows cannot be told.
    """
    if spec.keep is None:
        return
    tables = _own_tables(root, spec)
    for target in spec.targets:
        if target.table not in tables:
            continue
        for rule in sink_rules(spec, target, spec.keep, open_table(root, target.table), now):
            if rule.since is not None and spec.record_table not in tables:
                continue  # without the record no row has an age
            yield Due(target.table, "rows", _count(root, spec, target.table, rule), rule.words, rule)
    if spec.record_table in tables:
        for rule in record_rules(root, spec, spec.keep, now):
            yield Due(spec.record_table, "rows", _count(root, spec, spec.record_table, rule), rule.words, rule)
        yield from _cells_due(root, spec, now)
    for name in tables:
        table = open_table(root, name).delta
        files = _still_there(table, table.vacuum(dry_run=True, full=True, keep_versions=_latest(table, spec)))
        kept = f" and that none of the latest {spec.keep.versions} versions has" if spec.keep.versions else ""
        yield Due(name, "files", len(files), f"files that no row has been in for {_days(file_age(table))}{kept}")


def _cells_due(root: str, spec: PipelineSpec, now: dt.datetime) -> Iterator[Due]:
    """What decisions quote of rows, which goes as the rows do."""
    if spec.keep is None or spec.keep.days is None:
        return
    before = now - dt.timedelta(days=spec.keep.days)
    if found := sum(batch.num_rows for batch in Quarantine(root, spec.pipeline).old_cells(before)):
        why = f"corrected cells of decisions made before {before:%Y-%m-%d %H:%M}"
        yield Due(QUARANTINE, "cells", found, why, before=before)


def remove(root: str, spec: PipelineSpec, what: Due) -> int:
    """Let it go, and give how many rows or files went.

    Raises ConcurrentRunError when runs change the table again and again meanwhile, TableError when delta-rs cannot
    write it.
    """
    try:
        return in_turn(uri_of(root, what.table), lambda: _remove(root, spec, what))
    except DeltaError as error:
        reason = str(error).splitlines()[0]
        raise TableError(f"{what.table} cannot be changed without Spark; no row of it was removed: {reason}") from error


def _remove(root: str, spec: PipelineSpec, what: Due) -> int:
    table, said = open_table(root, what.table).delta, CommitProperties(custom_metadata={"userMetadata": what.why})
    if what.before is not None:
        return Quarantine(root, spec.pipeline).forget_cells(what.before, said)
    if what.rule is None:
        kept = _latest(table, spec)
        table.vacuum(dry_run=False, full=True, keep_versions=kept, commit_properties=said)
        return what.found
    if what.rule.decided:
        closed = _both(root, spec, what.table).execute(decided_ids(spec.pipeline))
        same = f"{row_id_sql('kept.')} = closed.row_id AND {what.rule.condition}"
        merge = table.merge(closed, same, source_alias="closed", target_alias="kept", commit_properties=said)
        return int(merge.when_matched_delete().execute()["num_target_rows_deleted"])
    if what.rule.since is None:
        return int(table.delete(what.rule.condition, commit_properties=said)["num_deleted_rows"])
    target = _target(spec, what.table)
    going = _both(root, spec, what.table).execute(keys_without_record(target, what.rule.since))
    same = " AND ".join(f"kept.{quoted(key)} = going.{quoted(key)}" for key in target.keys)
    merge = table.merge(going, same, source_alias="going", target_alias="kept", commit_properties=said)
    return int(merge.when_matched_delete().execute()["num_target_rows_deleted"])


def file_age(table: DeltaTable) -> dt.timedelta:
    """How long files stay after the last version that needs them: what the table says, else seven days."""
    said = table.metadata().configuration.get("delta.deletedFileRetentionDuration")
    found = INTERVAL.fullmatch(said.strip()) if said else None
    return dt.timedelta(**{f"{found[2].lower()}s": int(found[1])}) if found else DEFAULT_FILE_AGE


def short_lived(root: str, spec: PipelineSpec) -> Iterator[str]:
    """A sentence for each table whose files go so soon that a reader under way may still need them."""
    for name in _own_tables(root, spec):
        if spec.keep and (age := file_age(open_table(root, name).delta)) < DEFAULT_FILE_AGE:
            yield f"{name}: files go after {_days(age)}; below 7 days a reader or run under way may lose its files"


def _own_tables(root: str, spec: PipelineSpec) -> list[str]:
    names = [name for name in (*spec.tables, spec.record_table) if name in table_names(root)]
    return [name for name in names if open_table(root, name).view is None]


def _count(root: str, spec: PipelineSpec, table: str, rule: RowRule) -> int:
    rows = f"({keys_without_record(_target(spec, table), rule.since)})" if rule.since else _alias(spec, table)
    where = f" WHERE {rule.condition}" if rule.condition else ""
    if rule.decided:
        where += f" AND {row_id_sql()} IN ({decided_ids(spec.pipeline)})"
    counted: Any = pa.table(_both(root, spec, table).execute(f"SELECT count(*) AS found FROM {rows}{where}").read_all())
    return int(counted["found"][0].as_py())


def _both(root: str, spec: PipelineSpec, table: str) -> QueryBuilder:
    """A table under the name `sink`, unless it is the record, and the record under its own."""
    builder = QueryBuilder()
    for name in sorted({table, spec.record_table} & set(_own_tables(root, spec))):
        builder.register(_alias(spec, name), open_table(root, name).delta)
    if has_table(root, QUARANTINE):
        builder.register("decided", open_table(root, QUARANTINE).delta)
    return builder


def _alias(spec: PipelineSpec, table: str) -> str:
    return "record" if table == spec.record_table else "sink"


def _target(spec: PipelineSpec, table: str) -> Target:
    return next(target for target in spec.targets if target.table == table)


def _latest(table: DeltaTable, spec: PipelineSpec) -> list[int] | None:
    assert spec.keep is not None
    if spec.keep.versions is None:
        return None
    written = [commit["version"] for commit in table.history() if not commit["operation"].startswith("VACUUM")]
    return written[: spec.keep.versions]


def _still_there(table: DeltaTable, files: list[str]) -> list[str]:
    """Of the files that a vacuum names those that exist: the log goes on naming what an earlier one has deleted."""
    system, folder = filesystem(table.table_uri)
    found = system.get_file_info([f"{folder.rstrip('/')}/{unquote(file)}" for file in files])
    return [info.path for info in found if info.type is fs.FileType.File]


def _days(age: dt.timedelta) -> str:
    return f"{age / dt.timedelta(days=1):g} days"
