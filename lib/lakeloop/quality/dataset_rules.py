"""Rules that look beyond one row. Each adds what it needs to the frame and gives the violation like a row rule does."""

import operator
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Annotated

from pydantic import Field
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakeloop.core.documents import propose
from lakeloop.core.errors import TableError
from lakeloop.quality.named_columns import ColumnNames
from lakeloop.quality.row_rules.columns import value_of

ReadTable = Callable[[str], DataFrame]
Columns = ColumnNames


def _as_text(columns: Sequence[str]) -> Column:
    return F.concat_ws(", ", *(value_of(column).cast("string") for column in columns))


def _all_present(columns: Sequence[str]) -> Column:
    return reduce(operator.and_, (value_of(column).isNotNull() for column in columns))


def is_unique(frame: DataFrame, columns: Columns, *, counted: Column, marker: str) -> tuple[DataFrame, Column]:
    """No two counted rows of the batch share these values; every one of them violates it, not just the later ones.

    A key with a NULL in it equals no other. `counted` is false for rows that were dropped already. One shuffle by the
    columns, shared with a `dedupe` on the same ones. `marker` names the column that this adds.
    """
    return _recurring(frame, columns, 1, "one", counted=counted, marker=marker)


def occurs_at_most(
    frame: DataFrame,
    columns: Columns,
    times: Annotated[int, Field(ge=2)],
    *,
    counted: Column,
    marker: str,
) -> tuple[DataFrame, Column]:
    """No more counted rows of the batch than this share the values: what one row of a table becomes in a query's join.

    As `is_unique`, which says so of one row: every one of too many rows violates it, NULLs equal nothing.
    """
    return _recurring(frame, columns, times, f"at most {times}", counted=counted, marker=marker)


def _recurring(
    frame: DataFrame, columns: Columns, most: int, expected: str, *, counted: Column, marker: str
) -> tuple[DataFrame, Column]:
    window = Window.partitionBy(*(value_of(column) for column in columns))
    frame = frame.withColumn(marker, F.count(F.when(counted, 1)).over(window))
    repeated = counted & _all_present(columns) & (F.col(marker) > most)
    shown = F.concat(
        F.lit(f"{', '.join(columns)}: found "), _as_text(columns), F.lit(" in "), F.col(marker).cast("string")
    )
    return frame, F.when(repeated, F.concat(shown, F.lit(f" rows, expected {expected}")))


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
