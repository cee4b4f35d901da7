"""Parameters of rules that name columns of the row, told by their types."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_type_hints

from pydantic import Field


@dataclass(frozen=True)
class Reads:
    """Beside a parameter's type: how its value names columns of the row."""

    columns: Callable[[Any], Iterable[str]]


ColumnName = Annotated[str, Field(min_length=1), Reads(lambda name: [name])]
ColumnNames = Annotated[list[ColumnName], Field(min_length=1), Reads(list)]
SeveralColumns = Annotated[list[ColumnName], Field(min_length=2), Reads(list)]


@cache
def _readers(function: Callable[..., Any]) -> dict[str, Reads]:
    hints = get_type_hints(function, include_extras=True)
    found = {name: [part for part in get_args(hint) if isinstance(part, Reads)] for name, hint in hints.items()}
    return {name: parts[0] for name, parts in found.items() if parts}


def columns_read(function: Callable[..., Any], parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of the row that a rule with these parameters looks at, each once, in the order of its parameters."""
    readers = _readers(function)
    names = (name for key, value in parameters.items() if key in readers for name in readers[key].columns(value))
    return tuple(dict.fromkeys(names))
