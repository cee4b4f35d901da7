"""How good tables are now and over their latest batches, for the terminal and as a page; starts no Spark."""

from collections.abc import Sequence
from pathlib import Path

from lakeloop.core.config import Project
from lakeloop.core.documents import propose
from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import now
from lakeloop.ingestion.spec import PipelineSpec, load_pipeline
from lakeloop.lake.examples import Example, quarantined_examples
from lakeloop.lake.masks import REDACTED
from lakeloop.lake.quarantine import Chosen, Quarantine
from lakeloop.monitoring.incidents import open_incidents
from lakeloop.reports.page import render_page, write_page
from lakeloop.reports.quality_report import quality_sections
from lakeloop.reports.table_quality import TableQuality, gather
from lakeloop.verbs.anomalies import follows, upstream_of
from lakeloop.verbs.declared import declared

PAGES = "_reports"


def quality(project: Project, names: Sequence[str] = ()) -> list[TableQuality]:
    """The quality of tables, named by themselves or by their pipeline; none named: all that are declared.

    Raises ConfigError for a name that is neither, and DamageError for a table of `ops` that cannot be read.
    """
    every = declared(project)
    specs = _named(project, every, names) if names else every
    found = gather(project.lake_root, specs, now())
    stood_out = [each.spec.pipeline for each in found if each.signals]
    if not stood_out:
        return found
    effects = follows(stood_out, upstream_of(every), {}, open_incidents(project.lake_root))
    causes = {effect.pipeline: effect.upstream for effect in effects}
    return gather(project.lake_root, specs, now(), causes) if causes else found


def report_quality(project: Project, names: Sequence[str] = ()) -> str:
    """Write the page of all tables or of those named into the lake, and give its link.

    Examples of pipelines with personal data are masked. Raises what `quality` raises, and OSError.
    """
    found, moment, root = quality(project, names), now(), project.lake_root
    open_rows = {each.spec.pipeline: _open_rows(root, each) for each in found}
    examples = {each.spec.pipeline: _examples(root, each) for each in found}
    whole = "the whole lake" if not names else ", ".join(each.name for each in found)
    subtitle = f"{whole} in {project.environment}, {moment:%Y-%m-%d %H:%M} UTC"
    html = render_page("Quality", subtitle, quality_sections(found, moment, open_rows, examples))
    name = "quality" if not names else f"quality_{'_'.join(each.spec.pipeline for each in found)}"
    page = f"{root}/{PAGES}/{name}.html"
    write_page(page, html)
    return page if "://" in page else Path(page).absolute().as_uri()


def _named(project: Project, every: Sequence[PipelineSpec], names: Sequence[str]) -> list[PipelineSpec]:
    by_table = {table: spec for spec in every for table in (*spec.tables, spec.record_table)}
    pipelines, found = project.names("pipelines"), dict[str, PipelineSpec]()
    for name in names:
        if name not in by_table and name not in pipelines:
            known = [*pipelines, *by_table]
            raise ConfigError(f"no table or pipeline '{name}' in {project.folder}; {propose(name, known)}")
        spec = by_table[name] if name in by_table else load_pipeline(project, name)
        found[spec.pipeline] = spec
    return list(found.values())


def _open_rows(root: str, table: TableQuality) -> int:
    return Quarantine(root, table.spec.pipeline).count(Chosen())


def _examples(root: str, table: TableQuality) -> list[Example]:
    """Some rows of the newest batch that has quarantined ones."""
    newest = next((batch for batch in reversed(table.history.batches) if batch.counts.quarantined), None)
    if newest is None:
        return []
    found = quarantined_examples(root, table.spec.pipeline, newest.batch_id)
    if not table.spec.pii_columns:
        return found
    return [one._replace(message=REDACTED, original=REDACTED) for one in found]
