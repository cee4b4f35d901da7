"""Whether two tables fit together as declared: their columns and the types of these, before a row is read."""

from collections.abc import Mapping
from typing import Literal

from lakeloop.core.documents import propose
from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.source_specs.join import Join, Origin

TIMES = ("timestamp", "timestamp_ntz", "date")
WHOLE_NUMBERS = ("tinyint", "smallint", "int", "bigint")


def fitted(join: Join, left: Mapping[str, str], right: Mapping[str, str]) -> dict[str, Origin]:
    """The columns of the result, given the types of both tables' columns by name, as Spark writes them.

    Raises ConfigError for a column that is missing, an event time that is none, keys of different types, and a name
    that both sides give.
    """
    tables: dict[Literal["left", "right"], Mapping[str, str]] = {"left": left, "right": right}
    for name, types in tables.items():
        side = join.sides[name]
        for column in (*join.keys(name), side.event_time, *(side.columns or {}).values()):
            if column not in types:
                raise ConfigError(f"no column '{column}' in {side.table}; {propose(column, list(types))}")
        if types[side.event_time] not in TIMES:
            raise ConfigError(
                f"event_time {side.event_time} of {side.table} is of type {types[side.event_time]}; it is a timestamp or "
                f"a date: add the transform `cast: {{{side.event_time}: timestamp}}` to the pipeline of {side.table}"
            )
    for ours, theirs in join.on.items():
        mine, other = left[ours], right[theirs]
        if mine != other and not {mine, other} <= set(WHOLE_NUMBERS):
            raise ConfigError(
                f"{ours} of {join.left.table} is of type {mine}, but {theirs} of {join.right.table} of type {other}; "
                f"add the transform `cast` to the pipeline of one of them"
            )
    return join.result(list(left), list(right))
