"""Parameters of rules that name columns of the row, told by their types."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import Field


@dataclass(frozen=True)
class Reads:
    """Beside a parameter's type, which may be `| None`: how its value names columns of the row."""

    columns: Callable[[Any], Iterable[str]]


ColumnName = Annotated[str, Field(min_length=1), Reads(lambda name: [name])]
ColumnNames = Annotated[list[ColumnName], Field(min_length=1), Reads(list)]
SeveralColumns = Annotated[list[ColumnName], Field(min_length=2), Reads(list)]


@cache
def _readers(function: Callable[..., Any]) -> dict[str, Reads]:
    hints = get_type_hints(function, include_extras=True)
    readers = {name: [part for part in _beside(hint) if isinstance(part, Reads)] for name, hint in hints.items()}
    return {name: parts[0] for name, parts in readers.items() if parts}


def _beside(hint: Any) -> list[Any]:
    """What stands beside a type, or beside those that a value may be of."""
    if get_origin(hint) in (Union, UnionType):
        return [part for each in get_args(hint) for part in _beside(each)]
    return list(getattr(hint, "__metadata__", ()))


def columns_read(function: Callable[..., Any], parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of the row that a rule with these parameters looks at, each once, in the order of its parameters."""
    readers = _readers(function)
    given = {key: value for key, value in parameters.items() if key in readers and value is not None}
    return tuple(dict.fromkeys(name for key, value in given.items() for name in readers[key].columns(value)))
