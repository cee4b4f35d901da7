"""After a run: what it did, told to a catalog outside as `platform.yml` says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lakeloop.catalog import load_catalog
from lakeloop.core import logs, secrets
from lakeloop.core.config import LineageSettings, Project
from lakeloop.core.errors import LakeloopError
from lakeloop.core.run_record import RunContext
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.ledger import RunEntry

if TYPE_CHECKING:
    from openlineage.client.transport.transport import Transport

log = logs.get(__name__)


def emit_lineage(
    project: Project,
    specs: Sequence[PipelineSpec],
    entries: Sequence[RunEntry],
    failures: Mapping[str, LakeloopError],
    context: RunContext,
) -> tuple[str, ...]:
    """Send the events of pipelines that did something. Gives what kept them from arriving, which is never raised."""
    settings = project.platform.lineage
    if settings is None:
        return ()
    tables = {spec.pipeline: spec.said_tables for spec in specs}
    failed = [
        RunEntry(name, tables[name], "failed", context.started_at, str(error)) for name, error in failures.items()
    ]
    told = [entry for entry in entries if entry.outcome == "succeeded"] + failed
    if not told:
        return ()
    try:
        from lakeloop.catalog.addresses import addresses
        from lakeloop.catalog.openlineage import Emitter
    except ImportError:
        return ("Lineage was not sent: it needs the extra lineage; install lakeloop[lineage]",)
    try:
        catalog = load_catalog(project)
        emitter = Emitter(
            catalog, addresses(project, catalog), project.lake_root, settings.namespace, _transport(project, settings)
        )
        for entry in told:
            emitter.emit(context.run_id, entry, polls=context.is_polling)
    except LakeloopError as error:
        log.warning("lineage was not delivered", run_id=context.run_id, error=str(error))
        return (f"Lineage was not sent: {error}",)
    return ()


def _transport(project: Project, settings: LineageSettings) -> "Transport":
    from openlineage.client.transport.file import FileConfig, FileTransport
    from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport

    if settings.file:
        Path(settings.file).parent.mkdir(parents=True, exist_ok=True)
        return FileTransport(FileConfig(log_file_path=settings.file, append=True))
    assert settings.url is not None
    if settings.api_key is None:
        return HttpTransport(HttpConfig(url=settings.url))
    key = secrets.resolve(settings.api_key, project.secrets_folder)
    return HttpTransport(HttpConfig(url=settings.url, auth=ApiKeyTokenProvider({"apiKey": key})))
