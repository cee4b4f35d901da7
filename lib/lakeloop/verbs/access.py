"""Query tables without Spark, serve them over HTTP, and remove what need not be kept."""

from dataclasses import dataclass

from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import RunContext
from lakeloop.lake.audit import AuditEntry, append_audit
from lakeloop.lake.open_tables import table_names
from lakeloop.lake.select import Reach, Selected, mentioned, select
from lakeloop.serving.access_spec import load_access, masking_secret
from lakeloop.serving.policies import load_policies, reach


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
    if asked.pii and context.user not in access.people_with_pii:
        raise ConfigError(
            f"--pii is for the users that access.yml lists under people_with_pii, and '{context.user}' is not one of "
            "them; leave it out to see the tables with their masks"
        )
    tables = reach(table_names(project.lake_root), load_policies(project), pii=asked.pii)
    names = mentioned(asked.sql, tables)
    hashes = any("hash" in tables[name].values() for name in names)
    seen = Reach(tables, masking_secret(project, access) if hashes else None)
    result = select(project.lake_root, asked.sql, seen)
    if asked.pii:
        shown = AuditEntry(
            context.user, "terminal", "query", tuple(names), tuple(result.names), message="with personal data"
        )
        append_audit(project.lake_root, [shown])
    return result
