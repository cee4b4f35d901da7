"""Whether two tables fit together as declared: their columns and the types of these, before a row is read."""

from collections.abc import Mapping

from lakeloop.core.documents import propose
from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.source_specs.join import Join, Origin, SideName

TIMES = ("timestamp", "timestamp_ntz", "date")
WHOLE_NUMBERS = ("tinyint", "smallint", "int", "bigint")


def fitted(join: Join, left: Mapping[str, str], right: Mapping[str, str]) -> dict[str, Origin]:
    """The columns of the result, given the types of both tables' columns by name, as Spark writes them.

    Raises ConfigError for a column that is missing, an event time that is none, keys of different types, and a name
    that both sides give.
    """
    tables: dict[SideName, Mapping[str, str]] = {"left": left, "right": right}
    for name, types in tables.items():
        side = join.sides[name]
        time = side.event_time
        for column in (*join.keys(name), time, *(side.columns or {}).values()):
            if column not in types:
                raise ConfigError(f"no column '{column}' in {side.table}; {propose(column, list(types))}")
        if types[time] not in TIMES:
            raise ConfigError(
                f"event_time {time} of {side.table} is of type {types[time]}, and must be a timestamp or a date; "
                f"add the transform `cast: {{{time}: timestamp}}` to the pipeline of {side.table}"
            )
    for ours, theirs in join.on.items():
        mine, other = left[ours], right[theirs]
        if mine != other and not {mine, other} <= set(WHOLE_NUMBERS):
            raise ConfigError(
                f"{ours} of {join.left.table} is of type {mine}, but {theirs} of {join.right.table} of type {other}; "
                "add the transform `cast` to the pipeline of one of them"
            )
    return join.result(list(left), list(right))
