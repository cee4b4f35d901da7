"""The examiners in the order in which tables rest on each other, and what each finding comes to."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from lakeloop.core.errors import LakeloopError
from lakeloop.ingestion.soundness import LEDGER
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.delta_log import data_files
from lakeloop.lake.open_tables import table_names
from lakeloop.lake.ops_tables import UNREADABLE, uri_of
from lakeloop.repair.ailment import Ailment, Bench, Finding
from lakeloop.repair.catalogs import decision_ailments, file_catalog_ailments, schema_ailments
from lakeloop.repair.facts import Facts
from lakeloop.repair.ledger import end_ailments, plan_ailments
from lakeloop.repair.logs import file_ailments, log_ailments
from lakeloop.repair.readers import OpenLake, sink_ailments, sink_damage, view_ailments
from lakeloop.repair.record import lost_data_files, record_ailments

Examiner = Callable[[Bench, Facts], Iterable[Ailment]]
EXAMINERS: tuple[Examiner, ...] = (
    lost_data_files,
    plan_ailments,
    end_ailments,
    record_ailments,
    file_catalog_ailments,
    schema_ailments,
    decision_ailments,
    view_ailments,
)
HIDING = EXAMINERS[:3]  # until these find nothing, the others would take for damage what follows from theirs


def examine_lake(bench: Bench) -> Iterator[Finding]:
    """Every table of `ops`: can it be read? One finding for each ailment."""
    for table in ops_tables(bench.root):
        yield from _treated(bench, table, partial(log_ailments, bench, table))
        yield from _treated(bench, table, partial(file_ailments, bench, table))


def examine_pipeline(bench: Bench, spec: PipelineSpec, folder: str | None, open_lake: OpenLake) -> Iterator[Finding]:
    """The tables of one pipeline, each by itself and against the others. `folder` is that of a source of files.

    What rests on a table that is still damaged is not examined, and a finding says so.
    """
    yield from _treated(bench, spec.record_table, partial(log_ailments, bench, spec.record_table))
    for target in spec.targets:
        if target.mode != "append" and not sink_damage(uri_of(bench.root, target.table)):
            yield from _treated(bench, target.table, partial(log_ailments, bench, target.table))
    last: Examiner = partial(sink_ailments, open_lake=open_lake)
    for examine in (*EXAMINERS, last):
        facts = Facts(bench.root, spec, folder)
        found = list(_treated(bench, spec.record_table, partial(examine, bench, facts)))
        yield from found
        is_hiding = examine in HIDING and any(finding.state in ("damaged", "lost") for finding in found)
        if is_hiding:
            yield _hidden(spec.record_table)
        if is_hiding or any(finding.state == "unknown" for finding in found):
            return


def ops_tables(root: str) -> list[str]:
    """The tables of `ops` that are there, if only by their data files."""
    named = {table for table in table_names(root) if table.startswith("ops.")}
    return sorted(named | {table for table in LEDGER if data_files(uri_of(root, table))})


def _treated(bench: Bench, table: str, examine: Callable[[], Iterable[Ailment]]) -> Iterator[Finding]:
    """What an examiner finds, mended unless it is a dry run."""
    try:
        ailments = list(examine())
    except (LakeloopError, *UNREADABLE) as error:
        said = str(error).split("\n")[0]
        if bench.dry_run:
            yield _hidden(table)
        else:
            yield Finding(table, "lost", f"it cannot be examined: {said}", "Restore it from a backup")
        return
    for ailment in ailments:
        yield _mended(bench, ailment)


def _hidden(table: str) -> Finding:
    return Finding(table, "unknown", "the rest is examined when what is damaged above has been mended")


def _mended(bench: Bench, ailment: Ailment) -> Finding:
    if ailment.mend is None:
        return Finding(ailment.table, "lost", ailment.what, ailment.cure)
    if bench.dry_run:
        return Finding(ailment.table, "damaged", ailment.what, ailment.cure)
    try:
        ailment.mend()
    except (LakeloopError, *UNREADABLE) as error:
        return Finding(ailment.table, "lost", ailment.what, f"The cure failed: {str(error).splitlines()[0]}")
    return Finding(ailment.table, "mended", ailment.what, ailment.cure)
