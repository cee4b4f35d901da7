"""A connection to PostgreSQL for changes, and what it says when it fails, in one sentence with the remedy."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from lakeloop.core.connections import JdbcConnection
from lakeloop.core.errors import ConfigError, SourceError

if TYPE_CHECKING:  # psycopg comes with the extra `postgres`
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

# What the JDBC driver and libpq both have; all other parameters of the URL are of the driver alone.
SHARED = {
    "sslmode": "sslmode", "sslrootcert": "sslrootcert", "sslcert": "sslcert", "sslkey": "sslkey", "options": "options",
    "channelBinding": "channel_binding", "targetServerType": "target_session_attrs",
}  # fmt: skip
TARGETS = {"primary": "primary", "master": "primary", "secondary": "standby", "any": "any"}
# Texts do not depend on how the server is set up.
SETTINGS = {
    "datestyle": "ISO, YMD", "timezone": "UTC", "intervalstyle": "postgres", "bytea_output": "hex",
    "extra_float_digits": "1", "lc_monetary": "C",
}  # fmt: skip
# A peer that is gone without a word is noticed within a minute or so.
KEPT_ALIVE: Mapping[str, Any] = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
# SQL states as PostgreSQL's manual lists them (appendix A), by their first matching prefix.
REMEDIES = {
    "28": "check user and password of the connection",
    "3D": "the database in the connection's url does not exist",
    "42501": "give the connection's user what it lacks: ALTER ROLE … REPLICATION, and GRANT SELECT on the table",
    "42704": "it is gone or was never made; look at pg_replication_slots and pg_publication",
    "42P01": "check the table's schema and name",
    "53400": "raise max_replication_slots of the server, or drop a slot that nobody needs",
    "53": "the server has no room left for this; look at its log",
    "55006": "only one process may use a slot; end the other one, or give each pipeline a slot of its own",
    "55000": "look at wal_level and at the slot in pg_replication_slots",
    "57014": "a transaction has been open for too long for it; end that one (pg_stat_activity) and run again",
    "57P": "the server was shut down meanwhile; the next run goes on from where this one began",
    "58P01": "the server has lost a file of its log; begin anew with another slot name",
    "08": "check that the server runs; the next run goes on from where this one began",
}


@contextmanager
def connected(connection: JdbcConnection, password: str | None, name: str) -> Iterator["Connection"]:
    """A connection in which every statement is its own transaction. `name` is what errors call it.

    Raises ConfigError for another kind of database or a missing package, SourceError for what the server says.
    """
    try:
        import psycopg

        from lakeloop.ingestion.sources.cdc.bounded import bounded_connection
    except ImportError as error:
        raise ConfigError("changes of PostgreSQL need psycopg: pip install 'lakeloop[postgres]'") from error
    address = libpq_address(connection.url, name)
    server = connection.url.partition("?")[0]
    try:
        with bounded_connection(connection.read_timeout_seconds).connect(
            address["uri"],
            **address["options"],
            user=connection.user,
            password=password,
            client_encoding="UTF8",
            application_name="lakeloop",
            connect_timeout=connection.connect_timeout_seconds,
            **KEPT_ALIVE,
            autocommit=True,
        ) as opened:
            for key, value in SETTINGS.items():
                opened.execute("SELECT set_config(%s, %s, false)", [key, value])
            yield opened
    except psycopg.Error as error:
        raise SourceError(f"{name}: {server} says: {_said(error)}{_remedy(error)}") from error
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{name}: {server} sent a text that is not UTF-8 ({error.reason} at byte {error.start}); mend the value, "
            "or convert the database from the encoding SQL_ASCII to UTF8"
        ) from error


def libpq_address(url: str, name: str) -> Mapping[str, Any]:
    """The URL of a JDBC connection as libpq takes it: `uri` and `options` beside it.

    Raises ConfigError for another database. `ssl=true` is `sslmode=verify-full`, as the driver has it.
    """
    if not url.startswith("jdbc:postgresql:"):
        raise ConfigError(f"{name}: changes are read from PostgreSQL alone, and the connection's url is another's")
    address, _, query = url.removeprefix("jdbc:postgresql:").partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    options = {SHARED[key]: value for key, value in given.items() if key in SHARED}
    if "target_session_attrs" in options:
        options["target_session_attrs"] = TARGETS.get(options["target_session_attrs"], "any")
    if given.get("ssl", "false") != "false":
        options.setdefault("sslmode", "verify-full")
    uri = f"postgresql:{address}" if address.startswith("//") else f"postgresql://localhost/{address}"
    return {"uri": uri, "options": options}


def _said(error: "psycopg.Error") -> str:
    lines = [error.diag.message_primary, error.diag.message_detail] if error.diag.message_primary else [str(error)]
    return " ".join(line.splitlines()[0].strip().rstrip(".") + "." for line in lines if line)[:-1]


def _remedy(error: "psycopg.Error") -> str:
    # A refused or broken connection has no state of its own.
    state = error.sqlstate or error.diag.sqlstate or ("28" if "authentication failed" in str(error) else "08")
    if 'database "' in str(error) and "does not exist" in str(error):
        state = "3D"
    return next((f"; {text}" for prefix, text in REMEDIES.items() if state.startswith(prefix)), "")
