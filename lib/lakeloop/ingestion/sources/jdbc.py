"""Tables of a database, by JDBC, whole or from a cursor on."""

import re
from dataclasses import dataclass

from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.connections import JdbcConnection
from lakeloop.core.errors import SourceError
from lakeloop.ingestion.source_specs import JdbcSource
from lakeloop.ingestion.sources.protocol import ORIGINAL, POSITION, RESCUED, Ended, Extract, Progress, require_names
from lakeloop.lake.ledger import Plan

# Named, because a driver that Spark fetched itself is not found by the url alone.
DRIVERS = {"postgresql": "org.postgresql.Driver"}
# SQL states as PostgreSQL's manual lists them (appendix A), by their first matching prefix.
REMEDIES = {
    "28": "check user and password of the connection",
    "3D": "the database in the connection's url does not exist",
    "42501": "grant SELECT on it to the connection's user",
    "42P01": "check the table's name and schema",
    "42703": "check the cursor's column name",
    "08": "check that the server runs and that the connection's url is right",
}


@dataclass(frozen=True)
class JdbcReader:
    """Reads one table. With a cursor, a batch is the half-open interval (last read, greatest now].

    A row committed later with a cursor at or below the greatest one read is not seen. Rows whose cursor is NULL are
    read by the first batch only.
    """

    spark: SparkSession
    connection: JdbcConnection
    password: str
    spec: JdbcSource

    def plan(self, last: Plan | None, progress: Progress) -> Plan | None:
        """The next interval of the cursor, or the whole table where none is declared."""
        if self.spec.incremental is None:
            return Plan({"after": None, "upto": None, "nulls": True}, "the whole table")
        after, nulls = last.details["upto"] if last else None, last is None
        cursor = _identifier(self.spec.incremental.cursor)
        where = f" WHERE {self._interval(cursor, after, None, nulls)}"
        bounds = f"SELECT CAST(max({cursor}) AS varchar(64)) AS upto, count(*) AS n FROM {self._table}{where}"
        found = self._query(bounds).first()
        assert found is not None
        if found["n"] == 0:
            return None
        progress(f"{found['n']:,} rows")
        since = f" since {after}" if after else ""
        return Plan({"after": after, "upto": found["upto"], "nulls": nulls}, f"{found['n']:,} rows{since}")

    def read(self, plan: Plan) -> Extract:
        """The rows of the planned interval, in the types of the database. Raises SourceError for an unusable name."""
        where = ""
        if self.spec.incremental is not None:
            cursor, upto = _identifier(self.spec.incremental.cursor), plan.details["upto"]
            inside = self._interval(cursor, plan.details["after"], upto, plan.details["nulls"])
            where = f" WHERE {inside if upto is not None else f'{cursor} IS NULL'}"
        rows = self._query(f"SELECT * FROM {self._table}{where}")
        require_names(rows.columns, f"{self.spec.jdbc}.{self.spec.table}", "read a view that renames it")
        position = F.struct(
            F.lit(f"{self.spec.jdbc}.{self.spec.table}").alias("origin"), F.lit(None).cast("bigint").alias("record")
        )
        data = [F.col(f"`{name}`") for name in rows.columns]
        return Extract(rows.withColumns({
            POSITION: position,
            ORIGINAL: F.struct(*data),
            RESCUED: F.lit(None).cast("string"),
        }))  # fmt: skip

    def finish(self, ended: Ended) -> None:
        """Nothing is noted."""

    def release(self, plan: Plan) -> None:
        """Nothing is held."""

    @property
    def _table(self) -> str:
        return ".".join(_identifier(part) for part in self.spec.table.split("."))

    @staticmethod
    def _interval(cursor: str, after: str | None, upto: str | None, nulls: bool) -> str:
        limits = [f"{cursor} > {_literal(after)}"] if after is not None else []
        limits += [f"{cursor} <= {_literal(upto)}"] if upto is not None else []
        inside = " AND ".join(limits) or f"{cursor} IS NOT NULL"
        return f"{inside} OR {cursor} IS NULL" if nulls else inside

    def _query(self, query: str) -> DataFrame:
        reader = self.spark.read.format("jdbc").options(
            url=self.connection.url, user=self.connection.user, password=self.password, query=query,
            driver=DRIVERS[self.connection.engine], fetchsize="10000",
        )  # fmt: skip
        try:
            return reader.load()
        except Py4JJavaError as error:
            raise self._explained(error) from error

    def _explained(self, error: Py4JJavaError) -> SourceError:
        cause = error.java_exception
        state = cause.getSQLState() if hasattr(cause, "getSQLState") else None
        said = str(cause.getMessage()).splitlines()[0]
        remedy = next((text for prefix, text in REMEDIES.items() if (state or "").startswith(prefix)), None)
        server = re.sub(r"\?.*", "", self.connection.url)
        advice = f"; {remedy}" if remedy else ""
        return SourceError(f"{self.spec.jdbc}: reading {self.spec.table} from {server} failed: {said}{advice}")


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
