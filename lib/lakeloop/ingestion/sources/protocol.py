"""What every source promises."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pyspark.sql import DataFrame

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.source_spec import FIELD_NAME
from lakeloop.lake.ledger import Plan
from lakeloop.quality import Finding

Progress = Callable[[str], None]

# Columns that a source may add beside the data.
POSITION = "_position"  # struct<origin: string, record: bigint>: where the row stood, as a person would look it up
ORIGINAL = "_original"  # string: the record as it arrived, for rows that are not good
RESCUED = "_rescued"  # string: JSON of fields that are not declared


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


class Source(Protocol):
    """One declared source of one pipeline."""

    def plan(self, finished: Sequence[Plan], progress: Progress) -> Plan | None:
        """What the next batch reads, given the plans of all finished batches (oldest first); None: nothing is new.

        Raises SourceError or FormatError, in words, when the system cannot be asked.
        """
        ...

    def read(self, plan: Plan) -> Extract:
        """The rows of a plan; the same rows each time."""
        ...

    def release(self, plan: Plan) -> None:
        """Free what was kept to make the plan repeatable; called once the batch has ended."""
        ...
