"""Asks a database through Spark, and says in words what it refuses."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession

from lakeloop.core.connections import JdbcConnection
from lakeloop.core.errors import SourceError
from lakeloop.core.spark_failures import SPARK_FAILURES, all_said, said
from lakeloop.ingestion.sources.jdbc.dialect import Dialect
from lakeloop.ingestion.sources.jdbc.postgresql import PostgreSql
from lakeloop.ingestion.sources.jdbc.sqlite import Sqlite

DIALECTS: Mapping[str, Dialect] = {"postgresql": PostgreSql(), "sqlite": Sqlite()}
# As a class, or in the text of a task's failure, with the message behind it.
RAISED = re.compile(r"(?:org\.postgresql\.util\.PSQL|org\.sqlite\.SQLite|java\.sql\.SQL)\w*Exception(?:: (.*))?")


@dataclass(frozen=True)
class Database:
    """One database; `name` is that of its connection, `what` is read, for messages."""

    spark: SparkSession
    connection: JdbcConnection
    password: str | None = field(repr=False)
    name: str
    what: str

    @property
    def dialect(self) -> Dialect:
        """What is peculiar to the engine."""
        return DIALECTS[self.connection.engine]

    @property
    def origin(self) -> str:
        """What is read, as a person would name it."""
        return f"{self.name}.{self.what}"

    def rows(self, sql: str, types: Mapping[str, str], parts: Sequence[str] = ()) -> DataFrame:
        """The result of a SELECT whose columns have the given Spark types; each part is read over its own connection.

        Raises SourceError when the database cannot be reached or refuses the statement.
        """
        schema = ", ".join(f"`{name.replace('`', '``')}` {type_}" for name, type_ in types.items())
        reader = self.spark.read.options(**self._options, customSchema=schema)
        try:
            predicates = [f"({part})" for part in parts] or ["1 = 1"]
            return reader.jdbc(self.connection.url, f"({sql}) lakeloop", predicates=predicates)
        except SPARK_FAILURES as error:
            raise self.explained(error) from error

    def ask(self, sql: str, types: Mapping[str, str]) -> list[dict[str, Any]]:
        """The few rows of a SELECT. Raises SourceError as `rows` does."""
        found = self.rows(sql, types)
        try:
            return [row.asDict() for row in found.collect()]
        except SPARK_FAILURES as error:
            raise self.explained(error) from error

    def names(self, sql: str) -> dict[str, str]:
        """The columns of a SELECT and the types in which Spark sees them. Raises SourceError as `rows` does."""
        reader = self.spark.read.options(**self._options)
        try:
            schema = reader.jdbc(self.connection.url, f"({sql}) lakeloop", predicates=["1 = 1"]).schema
        except SPARK_FAILURES as error:
            raise self.explained(error) from error
        return {column.name: column.dataType.simpleString() for column in schema}

    def explained(self, failure: PySparkException | Py4JJavaError) -> SourceError:
        """The failure in a sentence with its remedy, without anything that the url may hide."""
        state, text = _of_database(failure) or ("", said(failure))
        return self.refused((text.strip() or "no reason was given").splitlines()[0], state)

    def refused(self, line: str, state: str = "") -> SourceError:
        """What the database said, or would say, with the remedy for it and for its SQL state."""
        remedies = self.dialect.remedies.items()
        remedy = next((words for start, words in remedies if re.match(start, f"{state} {line}".strip())), None)
        server = re.sub(r"\?.*", "", self.connection.url)
        advice = f"; {remedy}" if remedy else ""
        return SourceError(f"{self.name}: reading {self.what} from {server} failed: {line}{advice}")

    def explain(self, failure: PySparkException | Py4JJavaError) -> SourceError | None:
        """The same for a failure of which it is not known whose it is; None: not the database's."""
        return self.explained(failure) if _of_database(failure) else None

    @property
    def _options(self) -> dict[str, str]:
        user, password = self.connection.user, self.password
        given = {name: value for name, value in (("user", user), ("password", password)) if value is not None}
        own = {"driver": self.dialect.driver, "fetchsize": "10000"}
        return {**own, **self.dialect.options, **self.connection.driver_timeouts, **given}


def _of_database(failure: PySparkException | Py4JJavaError) -> tuple[str, str] | None:
    """SQL state and message of what a driver raised."""
    cause = failure.java_exception if isinstance(failure, Py4JJavaError) else None
    while cause is not None:
        if RAISED.fullmatch(cause.getClass().getName()):
            return cause.getSQLState() or "", str(cause.getMessage())
        cause = cause.getCause()
    found = RAISED.search(all_said(failure))
    return ("", found[1] or "") if found else None
