"""Query tables without Spark, serve them over HTTP, and remove what need not be kept."""

from contextlib import suppress
from dataclasses import dataclass

from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import RunContext
from lakeloop.lake.audit import AuditEntry, append_audit
from lakeloop.lake.open_tables import table_names
from lakeloop.lake.select import Reach, Selected, mentioned, select
from lakeloop.serving.access_spec import AccessSpec, load_access, load_keys, masking_secret
from lakeloop.serving.data.audit_writer import AuditWriter
from lakeloop.serving.data.policies import load_policies, may_lack, reach
from lakeloop.serving.data.query_process import QueryProcesses
from lakeloop.serving.data.service import DataService
from lakeloop.serving.listening import address_of, listen
from lakeloop.verbs.progress import Progress, silent


@dataclass(frozen=True)
class Query:
    """One SELECT of a person at a terminal; `pii` asks for personal data as they are."""

    sql: str
    pii: bool = False


def query(project: Project, asked: Query, context: RunContext) -> Selected:
    """The result of a SELECT over the lake's tables, masked unless the user may see personal data and asks to.

    A look at personal data is recorded in `ops.audit` before the first row is given. This holds for what is shown:
    whoever can read the lake's files can read them by other means.
    """
    access = load_access(project)
    if asked.pii:
        require_pii(access, context)
    policies = load_policies(project)
    tables = reach(table_names(project.lake_root), policies, pii=asked.pii)
    names = mentioned(asked.sql, tables)
    hashes = any("hash" in tables[name].values() for name in names)
    secret = masking_secret(project, access) if hashes else None
    seen = Reach(tables, secret, may_lack(tables, policies))
    result = select(project.lake_root, asked.sql, seen)
    if asked.pii:
        shown = AuditEntry(
            context.user, "terminal", "query", tuple(names), tuple(result.names), message="with personal data"
        )
        append_audit(project.lake_root, [shown])
    return result


def require_pii(access: AccessSpec, context: RunContext) -> None:
    """Raise ConfigError unless the user may see personal data."""
    if context.user not in access.people_with_pii:
        raise ConfigError(
            f"--pii is for the users that access.yml lists under people_with_pii, and '{context.user}' is not one of "
            "them; leave it out to see the tables with their masks"
        )


def data_service(project: Project) -> DataService:
    """What the data API of a project answers. Raises ConfigError when no key is declared."""
    access, policies, root = load_access(project), load_policies(project), project.lake_root
    if not access.keys:
        raise ConfigError(f"no key is declared, so nobody could read: declare keys in {project.folder}/base/access.yml")
    hashes = any("hash" in policy.masks.values() for policy in policies.values())
    secret = masking_secret(project, access) if hashes else None
    return DataService(root, load_keys(project, access), policies, secret, AuditWriter(root), QueryProcesses(root))


def serve_data(project: Project, host: str, port: int, progress: Progress = silent) -> None:
    """Answer over HTTP until the process is told to end; whoever presents a key sees what `access.yml` lets it."""
    try:
        import uvicorn

        from lakeloop.serving.data.api import build_app
    except ImportError as error:
        raise ConfigError(
            f"serving needs the extra: pip install 'lakeloop[serving]' ({error.name} is missing)"
        ) from error
    service = data_service(project)
    listening = listen(host, port)
    progress(f"{address_of(listening, host)}/tables")
    server = uvicorn.Server(uvicorn.Config(build_app(service), log_config=None, access_log=False, server_header=False))
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listening])
