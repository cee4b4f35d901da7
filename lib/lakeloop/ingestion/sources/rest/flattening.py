"""A record with nested objects as flat columns: declared paths under their columns, all else under names of its own."""

from collections.abc import Iterator, Mapping
from typing import Any

from lakeloop.ingestion.sources.rest.records import Absent, value_at


def flatten(record: Mapping[str, Any], paths: Mapping[str, str]) -> dict[str, Any]:
    """The values of a record by column.

    `paths` are those of columns that do not stand under their own name. An absent value has no entry. What no path
    leads to keeps its key; in an object that paths lead into, its dotted path; and `$.` before it where a column has
    that name. A list that a path leads into is kept whole beside the value that was taken.
    """
    values: dict[str, Any] = {}
    for column, path in paths.items():
        value = value_at(record, path)
        if not isinstance(value, Absent):
            values[column] = value
    taken = [tuple(path.split(".")) for path in paths.values()]
    for name, value in _others(record, taken, ()):
        values[f"$.{name}" if name in paths else name] = value
    return values


def _others(
    record: Mapping[str, Any], taken: list[tuple[str, ...]], above: tuple[str, ...]
) -> Iterator[tuple[str, Any]]:
    for key, value in record.items():
        here = (*above, key)
        if here in taken:
            continue
        if any(path[: len(here)] == here for path in taken) and isinstance(value, dict):
            yield from _others(value, taken, here)
        else:
            yield ".".join(here), value
