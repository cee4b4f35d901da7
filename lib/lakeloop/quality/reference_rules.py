"""Rules that look into another table."""

import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Annotated

from pydantic import Field
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakeloop.core.documents import propose
from lakeloop.core.errors import TableError
from lakeloop.quality.rules import value_of

ReadTable = Callable[[str], DataFrame]
Columns = Annotated[list[str], Field(min_length=1)]


def _as_text(columns: Sequence[str]) -> Column:
    return F.concat_ws(", ", *(value_of(column).cast("string") for column in columns))


def _all_present(columns: Sequence[str]) -> Column:
    return reduce(operator.and_, (value_of(column).isNotNull() for column in columns))


def references(
    frame: DataFrame,
    columns: Columns,
    table: str,
    keys: list[str] | None = None,
    *,
    read_table: ReadTable,
    marker: str,
) -> tuple[DataFrame, Column]:
    """The values exist in `keys` (default: the same names) of another table. A NULL in them holds, as in SQL.

    One join with the distinct keys. Raises TableError when the table or a key in it does not exist.
    """
    other = read_table(table)
    for key in keys or columns:
        if key not in other.columns:
            raise TableError(f"references: no column '{key}' in {table}; {propose(key, other.columns)}")
    theirs = other.select(*(value_of(key).alias(f"{marker}_{index}") for index, key in enumerate(keys or columns)))
    known = theirs.distinct().withColumn(marker, F.lit(True))
    same = reduce(
        operator.and_, (value_of(column) == F.col(f"{marker}_{index}") for index, column in enumerate(columns))
    )
    frame = frame.join(known, same, "left").drop(*theirs.columns)
    unknown = F.col(marker).isNull() & _all_present(columns)
    shown = F.concat(F.lit(f"{', '.join(columns)}: found "), _as_text(columns), F.lit(f", expected a row of {table}"))
    return frame, F.when(unknown, shown)


RULES = (references,)
