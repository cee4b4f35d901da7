"""What every source promises."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.field_names import FIELD_NAME
from lakeloop.ingestion.sources.probing import Probed
from lakeloop.lake.ledger import Plan
from lakeloop.quality import Finding

Progress = Callable[[str], None]

# Columns that a source may add beside the data.
POSITION = "_position"  # struct<origin: string, record: bigint>: where the row stood, as a person would look it up
ORIGINAL = "_original"  # string: the record as it arrived, for rows that are not good
RESCUED = "_rescued"  # string: JSON of undeclared fields; until it is written also what `rescued_as_json` takes
SCHEMA_VERSION = "_schema_version"  # int: the version of `ops.schemas` by which the row was read, where there is one
FINGERPRINT = "_fingerprint"  # binary: what a row that may be read again is recognised by; NULL of all other rows
# How columns become an original that is whole: Spark's own forms of a time end at the millisecond, and NULLs go.
AS_JSON = {
    "ignoreNullFields": "false",
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss[.SSSSSS][XXX]",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss[.SSSSSS]",
}


@dataclass(frozen=True)
class Extract:
    """The rows of a batch with `_position`, `_original` and `_rescued`, and what is wrong with their form."""

    frame: DataFrame
    findings: tuple[Finding, ...] = ()


def require_names(columns: Sequence[str], origin: str, remedy: str) -> None:
    """Raise SourceError for columns that a table cannot have or that begin like Lakeloop's own."""
    if unusable := [repr(name) for name in columns if not re.fullmatch(FIELD_NAME, name)]:
        raise SourceError(
            f"{origin}: no column may be called {', '.join(unusable)}: a name has no blank or any of `.,;{{}}()= and "
            f"does not begin with an underscore; {remedy}"
        )


@dataclass(frozen=True)
class Ended:
    """A batch that was published, and its rows by the origin in `_position`."""

    plan: Plan
    batch_id: int
    run: RunContext
    by_origin: Mapping[str, RowCounts]


@runtime_checkable
class SiftingSource(Protocol):
    """A source of parts that may be damaged where only reading shows it."""

    def without_unreadable(self, plan: Plan) -> Plan | None:
        """The plan without the parts that Spark cannot read, asked after it failed; None: no part is to blame."""
        ...


@runtime_checkable
class ExplainingSource(Protocol):
    """A source that knows failures of its own system in what Spark raises."""

    def explain(self, failure: PySparkException | Py4JJavaError, /) -> SourceError | None:
        """The failure in a sentence with its remedy; None: it is not this system's."""
        ...


@runtime_checkable
class MovingSource(Protocol):
    """A source that goes on changing below a plan, so that a second reading says nothing of the first."""

    def has_moved(self, plan: Plan, /) -> bool:
        """Whether other rows may be there than were read first."""
        ...


@runtime_checkable
class RereadingSource(Protocol):
    """A source that makes rows of its own originals again."""

    def reread(self, originals: DataFrame) -> Extract:
        """Rows of `_text`, an original, and `_position`, as `read` would give them today."""
        ...


class Source(Protocol):
    """One declared source of one pipeline."""

    def plan(self, last: Plan | None, progress: Progress, /) -> Plan | None:
        """What the next batch reads, given the plan of the last batch that succeeded; None: nothing is new.

        Raises SourceError or FormatError, in words, when the system cannot be asked.
        """
        ...

    def read(self, plan: Plan) -> Extract:
        """The rows of a plan; the same rows each time."""
        ...

    def finish(self, ended: Ended) -> None:
        """Note what became of a batch that was published; doing it again changes nothing.

        Called before the ledger says that the batch succeeded, so that a killed run does it again.
        """
        ...

    def release(self, plan: Plan) -> None:
        """Free what was kept to make the plan repeatable; called once the batch has ended, published or withdrawn."""
        ...


class System(Source, Probed, Protocol):
    """The source that a pipeline declares, as against a replay of what came from it."""
