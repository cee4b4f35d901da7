"""What every stage can do."""

from typing import Protocol, runtime_checkable

from lakeloop.scoring.columns import Columns
from lakeloop.scoring.row_code import RowCode


class Stage(Protocol):
    """A fitted stage without Spark."""

    def define(self, columns: Columns) -> None:
        """Say how the columns that it makes are made, of many rows."""

    def emit(self, code: RowCode) -> None:
        """Say which lines make them, for one row."""


@runtime_checkable
class Wide(Protocol):
    """A stage that makes many numbers of each row, so that fewer rows can be taken at a time."""

    @property
    def width(self) -> int:
        """How many numbers."""
