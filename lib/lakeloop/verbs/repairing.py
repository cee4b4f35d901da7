"""Examine the tables of a lake and mend what is damaged; starts Spark only to make a table anew from its record."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from lakeloop.core.config import Project
from lakeloop.core.connections import FilesConnection
from lakeloop.core.run_record import RunContext
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.lake.open_tables import table_names
from lakeloop.lake.storage import absolute
from lakeloop.repair import Bench, Finding, examine_lake, examine_pipeline, ops_tables
from lakeloop.verbs.lakes import open_lake
from lakeloop.verbs.progress import Progress, silent


@dataclass(frozen=True)
class Repaired:
    """What was found, in the order in which it was mended, tables without a finding, and where damaged files lie."""

    found: tuple[Finding, ...]
    sound: tuple[str, ...]
    folder: str


def repair(
    project: Project, names: Sequence[str], context: RunContext, *, dry_run: bool, progress: Progress = silent
) -> Repaired:
    """Mend the tables of pipelines (none named: all) and those of `ops`, or with `dry_run` only say what would be done.

    No pipeline may run meanwhile. Raises ConfigError before anything is touched.
    """
    from lakeloop.ingestion.sources.opening import find_connection

    specs = [load_pipeline(project, name) for name in names or project.names("pipelines")]
    folders = {}
    for spec in specs:
        connection = find_connection(project, spec)
        folders[spec.pipeline] = absolute(connection.path) if isinstance(connection, FilesConnection) else None
    root = project.lake_root
    bench = Bench(root, context, dry_run)
    progress("examining the ledger")
    tables, found = set(ops_tables(root)), list(examine_lake(bench))
    for spec in specs:
        progress(f"examining {spec.pipeline}")
        of_pipeline = list(examine_pipeline(bench, spec, folders[spec.pipeline], partial(open_lake, project)))
        if all(finding.state != "unknown" for finding in of_pipeline):
            tables |= {spec.record_table, *spec.tables} & set(table_names(root))
        found += of_pipeline
    sound = sorted(tables - {finding.table for finding in found})
    return Repaired(tuple(found), tuple(sound), bench.folder)
