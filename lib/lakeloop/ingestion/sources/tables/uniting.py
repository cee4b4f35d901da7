"""Several tables as one, by the names of their columns: nothing is made NULL or converted that nobody declared."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakeloop.core.documents import propose
from lakeloop.core.errors import SourceError
from lakeloop.ingestion.sources.protocol import require_names
from lakeloop.quality.row_rules.columns import value_of

NESTED = ("array<", "map<", "struct<", "binary")
BY_WIDTH = ("int", "bigint", "float", "double")  # what a cast is proposed to, of two numbers the wider


class UnitedColumn(NamedTuple):
    """A column of all tables together: its type, and how each table calls it; a table that lacks it is left out."""

    type: str
    of: Mapping[str, str]


def unite_columns(
    tables: Mapping[str, Mapping[str, str]],
    *,
    lacking: Collection[str],
    texts: Collection[str],
    table_column: str | None,
) -> dict[str, UnitedColumn]:
    """The columns of tables, each given as its columns with their types, in the order in which they first come.

    Names that differ by case alone are one, as Spark has it. A column whose types differ is text where it is among
    `texts`, those that a transform converts. Raises SourceError for a column that a table lacks and that is not
    declared as `lacking`, for types that differ, and for a name that no column of the lake can have.
    """
    spelt: dict[str, str] = {}
    of: dict[str, dict[str, str]] = {}
    for table, columns in tables.items():
        require_names(list(columns), table, "rename it where the table is written")
        for name in columns:
            of.setdefault(spelt.setdefault(name.lower(), name), {})[table] = name
    if table_column is not None and table_column.lower() in spelt:
        holder, name = next(iter(of[spelt[table_column.lower()]].items()))
        raise SourceError(f"{holder} has a column {name} of its own; give table_column another name")
    declared = {name.lower() for name in lacking}
    if unknown := sorted(name for name in lacking if name.lower() not in spelt):
        raise SourceError(
            f"lacking: none of {', '.join(tables)} has a column {unknown[0]}; {propose(unknown[0], list(of))}"
        )
    for name, holders in of.items():
        without = [table for table in tables if table not in holders]
        if without and name.lower() not in declared:
            raise SourceError(
                f"{', '.join(without)} has no column {name}, which {next(iter(holders))} has; declare "
                f"`lacking: [{name}]` for rows that have NULL there, or let what writes the table bring the column"
            )
    converted = {name.lower() for name in texts}
    return {name: UnitedColumn(_type_of(name, tables, of[name], converted), of[name]) for name in of}


def united_rows(
    rows: Mapping[str, DataFrame], columns: Mapping[str, UnitedColumn], table_column: str | None
) -> DataFrame:
    """The rows of tables under the united columns; columns of Lakeloop's own, which all frames have, stay."""
    frames = []
    for table, frame in rows.items():
        own = [name for name in frame.columns if name.startswith("_")]
        named = [] if table_column is None else [F.lit(table).alias(table_column)]
        frames.append(frame.select(*(_value(each, table).alias(name) for name, each in columns.items()), *named, *own))
    whole = frames[0]
    for frame in frames[1:]:
        whole = whole.unionByName(frame)
    return whole


def _value(column: UnitedColumn, table: str) -> Column:
    value = value_of(column.of[table]) if table in column.of else F.lit(None)
    return value.cast(column.type)


def _type_of(
    name: str, tables: Mapping[str, Mapping[str, str]], holders: Mapping[str, str], texts: Collection[str]
) -> str:
    types = {table: tables[table][column] for table, column in holders.items()}
    different = list(dict.fromkeys(types.values()))
    if len(different) == 1:
        return different[0]
    first, second = (next(table for table, type_ in types.items() if type_ == wanted) for wanted in different[:2])
    said = f"{name} is {types[first]} in {first} and {types[second]} in {second}"
    if any(type_.startswith(NESTED) for type_ in different):
        raise SourceError(f"{said}, and no cast makes one of them the other; let the pipelines that write them agree")
    if name.lower() in texts:
        return "string"
    raise SourceError(
        f"{said}; say which it is to be by `- cast: {{{name}: {_proposed(different)}}}` among the transforms, and a "
        "value that is none quarantines its row"
    )


def _proposed(types: Collection[str]) -> str:
    of_values = [type_ for type_ in types if type_ != "string"]
    decimals = [type_ for type_ in of_values if type_.startswith("decimal")]
    if len(of_values) == 1:
        return f'"{of_values[0]}"' if decimals else of_values[0]
    if all(type_ in BY_WIDTH or type_ in decimals for type_ in of_values):
        return f'"{max(decimals, key=_digits)}"' if decimals else max(of_values, key=BY_WIDTH.index)
    return "timestamp" if set(of_values) <= {"date", "timestamp"} else "string"


def _digits(decimal: str) -> list[int]:
    return [int(number) for number in decimal.removeprefix("decimal(").removesuffix(")").split(",")]
