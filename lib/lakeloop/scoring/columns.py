"""Many rows at a time: columns by name, made when they are asked for."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.scoring.blocks import Codes, Dense, Floats, Vectors


class Columns:
    """Columns of a number of rows: Arrow or numpy arrays of scalars, lists of tokens, and `Vectors`.

    A stage defines what it makes; nothing is computed that no answer needs.
    """

    def __init__(self, rows: int, given: Mapping[str, pa.Array]) -> None:
        self.rows = rows
        self._made: dict[str, Any] = dict(given)
        self._makers: dict[str, Callable[[], Any]] = {}
        self._of_values: dict[str, tuple[str, Callable[[Columns], Any]]] = {}

    def define(self, name: str, make: Callable[[], Any]) -> None:
        """`make` is called once at most, when the column is first asked for."""
        self._makers[name] = make
        self._of_values.pop(name, None)

    def define_of_values(self, name: str, source: str, make: Callable[["Columns"], Any]) -> None:
        """The column follows from `source` alone, so that `make` may be given the distinct values of that instead."""
        self._of_values[name] = source, make

    def has(self, name: str) -> bool:
        """Whether there is such a column, or a maker of it."""
        return name in self._made or name in self._makers

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def numbers(self, name: str) -> Floats:
        """A scalar column as float64 of shape (rows,), NaN where it is NULL."""
        column = self[name]
        if isinstance(column, np.ndarray):
            return column.astype(np.float64, copy=False)
        numbers: Floats = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return numbers

    def codes(self, name: str) -> Codes:
        """A scalar column of whole numbers, none of them NULL."""
        column = self[name]
        return (
            column if isinstance(column, np.ndarray) and column.dtype == np.intp else self.numbers(name).astype(np.intp)
        )

    def categories(self, name: str) -> tuple[Codes, Any]:
        """A scalar column as an Arrow array of values, which may repeat, and for each row the place of its value."""
        if name in self._of_values:
            source, make = self._of_values[name]
            codes, values = self.categories(source)
            return codes, make(Columns(len(values), {source: values}))
        column = self[name]
        if not isinstance(column, pa.Array) or pa.types.is_floating(column.type):
            return np.arange(self.rows), column  # which of its numbers are the same is for the reader to say
        encoded = pc.dictionary_encode(column, null_encoding="encode")
        return encoded.indices.to_numpy().astype(np.intp), encoded.dictionary

    def vectors(self, name: str) -> Vectors:
        """A vector column; a scalar one has one slot."""
        column = self[name]
        if isinstance(column, Vectors):
            return column
        if isinstance(column, np.ndarray) and column.ndim == 2:
            return Vectors((Dense(column),))
        return Vectors((Dense(self.numbers(name)[:, np.newaxis]),))
