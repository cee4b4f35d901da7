"""Remove what pipelines say need not be kept; starts no Spark."""

from collections.abc import Sequence
from dataclasses import dataclass

from lakeloop.core.config import Project
from lakeloop.core.errors import LakeloopError
from lakeloop.core.run_record import RunContext
from lakeloop.ingestion.retention import Due, due, remove, short_lived
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.lake.audit import AuditEntry, append_audit
from lakeloop.verbs.progress import Progress, silent


@dataclass(frozen=True)
class Retained:
    """What may go or went, warnings, and the errors of pipelines whose tables were not finished, by pipeline."""

    found: tuple[Due, ...]
    warnings: tuple[str, ...]
    failures: dict[str, LakeloopError]


def retain(
    project: Project, names: Sequence[str], context: RunContext, *, dry_run: bool, progress: Progress = silent
) -> Retained:
    """Let go what `keep` of pipelines allows (none named: all), or with `dry_run` only count it.

    Each removal is recorded in `ops.audit`. A pipeline that fails does not stop the others. Rows that went can be read
    by time travel until their files go, a week later by default: retain again then.
    """
    root, found, warnings = project.lake_root, list[Due](), list[str]()
    failures: dict[str, LakeloopError] = {}
    for spec in [load_pipeline(project, name) for name in names or project.names("pipelines")]:
        try:
            warnings += short_lived(root, spec)
            for what in list(due(root, spec, context.started_at)):
                found.append(what)
                if what.found and not dry_run:
                    progress(f"{what.table}: {what.why}")
                    gone = remove(root, spec, what)
                    entry = AuditEntry(
                        context.user, "terminal", "retain", (what.table,), (), gone, message=f"{what.kind}: {what.why}"
                    )
                    append_audit(root, [entry])
        except LakeloopError as error:
            failures[spec.pipeline] = error
    return Retained(tuple(found), tuple(warnings), failures)
