"""What the data API answers, apart from HTTP: an access is allowed by a key, masked for it, and put into the audit."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from lakeloop.core.errors import TableError
from lakeloop.core.run_record import now
from lakeloop.lake.audit import AuditEntry
from lakeloop.lake.open_tables import OpenTable, open_table, table_names
from lakeloop.lake.select import Masks, Reach, mentioned, require_masked_columns
from lakeloop.serving.access_spec import Caller, Keys
from lakeloop.serving.answers import RefusedError
from lakeloop.serving.data.audit_writer import AuditWriter
from lakeloop.serving.data.filters import parse_filters, require_column
from lakeloop.serving.data.pages import Place, count_rows, read_page, request_digest
from lakeloop.serving.data.policies import Policy, may_lack, reach
from lakeloop.serving.data.query_process import QueryProcesses
from lakeloop.serving.rate import STRANGERS, STRANGERS_PER_MINUTE, Buckets, stranger

MOST_ROWS = 10_000


@dataclass
class Access:
    """One access under way; what is set here goes into the audit."""

    caller: Caller
    tables: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: int = 0


@dataclass(frozen=True)
class DataService:
    """Answers of one lake. `start` before the first, `stop` after the last."""

    root: str
    keys: Keys
    policies: Mapping[str, Policy]
    secret: str | None = field(repr=False)
    audit: AuditWriter
    queries: QueryProcesses
    buckets: Buckets = field(default_factory=Buckets)

    def start(self) -> None:
        """Begin to record accesses, and have a process ready for a query."""
        self.audit.start()
        self.queries.start()

    def stop(self) -> None:
        """Record what has not been recorded yet, and end what was started."""
        self.queries.stop()
        self.audit.stop()

    def tables(self, key: str | None) -> dict[str, Any]:
        """The tables that a key reaches."""
        with self._access(key, "tables") as access:
            names = [name for name in table_names(self.root) if access.caller.spec.reaches(name)]
            access.rows = len(names)
            return {"tables": [{"name": name, "description": self._policy(name).description} for name in names]}

    def describe(self, key: str | None, name: str) -> dict[str, Any]:
        """Columns, rows, version and freshness of a table."""
        with self._access(key, "schema", (name,)) as access:
            require_reach(access.caller, name)
            table, masks = self._open(access.caller, name, None)
            policy, masked = self._policy(name), {column.lower(): mask for column, mask in masks.items()}
            changed = table.delta.history(1)[0]["timestamp"] / 1000
            columns = []
            for column in table.schema:
                spec, mask = policy.columns.get(column.name), masked.get(column.name.lower())
                columns.append(
                    {
                        "name": column.name,
                        "type": "string" if mask else str(column.type),
                        "description": spec.description if spec else "",
                        "tags": list(spec.tags) if spec else [],
                        "mask": mask,
                    }
                )
            return {
                "name": name,
                "description": policy.description,
                "owner": policy.owner,
                "view_of": table.view.record_table if table.view else None,
                "version": table.version,
                "rows": count_rows(table),
                "seconds_since_change": max(0, round(now().timestamp() - changed)),
                "columns": columns,
            }

    def rows(
        self, key: str | None, name: str, columns: Sequence[str], where: Sequence[str], limit: int, *,
        as_of: int | None, page: str | None,
    ) -> dict[str, Any]:  # fmt: skip
        """Some rows of a table, and the token of the next page."""
        with self._access(key, "rows", (name,)) as access:
            require_reach(access.caller, name)
            require_limit(limit)
            request = request_digest(name, list(columns), list(where), as_of)
            place = Place.of(page, request) if page else None
            table, masks = self._open(access.caller, name, place.version if place else as_of)
            shown = [require_column(column, table.schema).name for column in dict.fromkeys(columns)]
            access.columns = tuple(shown or table.schema.names)
            accepted = table.view.accepted if table.view else 0
            found = read_page(
                table,
                access.columns,
                parse_filters(where, table.schema, masks),
                place or Place(table.version, accepted, request),
                limit,
                masks,
                self.secret,
            )
            access.rows = len(found.rows)
            following = found.following.token() if found.following else None
            return {"table": name, "version": table.version, "rows": found.rows, "next": following}

    def query(self, key: str | None, sql: str, limit: int) -> dict[str, Any]:
        """The first rows of a SELECT over the tables that a key reaches."""
        with self._access(key, "query") as access:
            require_limit(limit)
            spec = access.caller.spec
            if not spec.query:
                raise RefusedError(403, f"the key '{access.caller.name}' may not query; ask for rows, or for the right")
            tables = reach(filter(spec.reaches, table_names(self.root)), self.policies, pii=spec.pii)
            access.tables = tuple(mentioned(sql, tables))
            answer = self.queries.answer(sql, Reach(tables, self.secret, may_lack(tables, self.policies)), limit)
            access.columns, access.rows = tuple(answer.columns), len(answer.rows)
            return {"columns": answer.columns, "rows": answer.rows, "was_cut": answer.was_cut}

    def _policy(self, name: str) -> Policy:
        return self.policies.get(name, Policy())

    def _open(self, caller: Caller, name: str, version: int | None) -> tuple[OpenTable, Masks]:
        try:
            table = open_table(self.root, name, version)
            masks = reach([name], self.policies, pii=caller.spec.pii)[name]
            require_masked_columns(table, masks, self._policy(name).may_lack)
        except TableError as error:
            sentence = str(error).split("; did you mean")[0].split("; Allowed")[0]
            raise RefusedError(404, f"{sentence}; GET /tables lists what there is") from error
        return table, masks

    @contextmanager
    def _access(
        self, key: str | None, action: Literal["tables", "schema", "rows", "query"], tables: tuple[str, ...] = ()
    ) -> Iterator[Access]:
        self.audit.require_room()
        caller = self.keys.caller(key) if key else None
        name, allowed = (caller.name, caller.spec.requests_per_minute) if caller else (STRANGERS, STRANGERS_PER_MINUTE)
        self.buckets.require(name, allowed)
        if caller is None:
            self.audit.add(AuditEntry(None, "api", action, (), status=401))
            raise stranger(key)
        access, status, message = Access(caller, tables), 500, ""
        try:
            yield access
            status = 200
        except RefusedError as error:
            status, message = error.status, error.sentence
            raise
        finally:
            entry = AuditEntry(
                caller.name, "api", action, access.tables, access.columns, access.rows, status, message[:500]
            )
            self.audit.add(entry)


def require_reach(caller: Caller, table: str) -> None:
    """Raise RefusedError for a table that a key does not reach, whether or not it exists."""
    if not caller.spec.reaches(table):
        raise RefusedError(403, f"the key '{caller.name}' does not reach '{table}'; GET /tables lists what it reaches")


def require_limit(limit: int) -> None:
    """Raise RefusedError for a number of rows that no answer has."""
    if not 1 <= limit <= MOST_ROWS:
        raise RefusedError(400, f"limit is 1 to {MOST_ROWS:,}, found {limit}; follow `next` for more rows")
