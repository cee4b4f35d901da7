"""The HTML page that a run leaves in the lake."""

from pathlib import Path

from deltalake.exceptions import DeltaError

from lakeloop.core import logs
from lakeloop.core.config import Project
from lakeloop.core.errors import DamageError
from lakeloop.core.run_record import RunContext, now
from lakeloop.lake.ledger import RunEntry
from lakeloop.reports.page import render_page, write_page
from lakeloop.reports.run_report import run_sections
from lakeloop.verbs.declared import declared
from lakeloop.verbs.pipelines import RunSummary

log = logs.get(__name__)


def report_run(project: Project, context: RunContext, summary: RunSummary) -> str:
    """Write `<lake>/_reports/<run_id>.html`, for people; gives a sentence with its link, or why there is no page.

    Never raises for a table that cannot be read or a folder that cannot be written: the rows are published by now.
    """
    page, moment = f"{project.lake_root}/_reports/{context.run_id}.html", now()
    subtitle = (
        f"{context.verb} in {context.environment} by {context.user}, begun {context.started_at:%Y-%m-%d %H:%M} UTC, "
        f"{(moment - context.started_at).total_seconds():.0f} s"
    )
    try:
        specs = declared(project)
        failed = [
            RunEntry(name, None, "failed", context.started_at, str(error)) for name, error in summary.failures.items()
        ]
        sections = run_sections(project.lake_root, context.run_id, specs, moment, failed)
        write_page(page, render_page(f"Run {context.run_id}", subtitle, sections))
    except (DamageError, DeltaError, OSError) as error:
        log.error("no report", run_id=context.run_id, exc_info=error)
        return f"No report was written: {error}"
    link = page if "://" in page else Path(page).as_uri()
    log.info("report written", run_id=context.run_id, report=link)
    return f"Report: {link}"
