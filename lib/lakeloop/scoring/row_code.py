"""One row at a time: the lines of a Python function that is made for one model.

Names of columns and texts of a model never become code: they are constants that the function refers to by number.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lakeloop.scoring.slots import Slot, dot


@dataclass(frozen=True)
class Scalar:
    """A value of the row: the name of a local variable, or a literal; `kind` is one of `kinds.KINDS`."""

    text: str
    kind: str
    can_be_null: bool


class RowCode:
    """Lines of a function `score(row)`, and the constants that they name; columns are emitted when asked for."""

    def __init__(self, helpers: dict[str, Any]) -> None:
        self.lines: list[str] = []
        self.constants: dict[str, Any] = dict(helpers)
        self._named: dict[Any, str] = {}
        self._made: dict[str, Any] = {}
        self._makers: dict[str, Callable[[], Any]] = {}
        self._projections: dict[str, tuple[str, Any]] = {}
        self._numbered: dict[str, Scalar] = {}
        self._variables = 0

    def define(self, name: str, make: Callable[[], Any]) -> None:
        """`make` emits the column, and gives its Scalar or list of slots."""
        self._makers[name] = make

    def has(self, name: str) -> bool:
        """Whether there is such a column."""
        return name in self._makers

    def scalar(self, name: str) -> Scalar:
        """The scalar column of that name."""
        made: Scalar = self._column(name)
        return made

    def slots(self, name: str) -> list[Slot]:
        """The slots of a vector column; a scalar one has one."""
        column = self._column(name)
        return [Slot("number", column.text)] if isinstance(column, Scalar) else column

    def project(self, name: str, source: str, components: Any) -> None:
        """Say that the vector column `name` is the slots of `source` times `components`."""
        self._projections[name] = (source, components)

    def dot(self, name: str, weights: Any, intercept: float) -> str:
        """The sum of the slots of a vector column times weights, as an expression; projections are multiplied out."""
        while name in self._projections:
            name, components = self._projections[name]
            weights = components @ weights
        return dot(self, self.slots(name), np.asarray(weights).tolist(), intercept)

    def _column(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def assign(self, expression: str, kind: str = "double", can_be_null: bool = False) -> Scalar:
        """A local variable with the value of an expression; the same expression is computed once."""
        found = self._numbered.get(expression)
        if found is None:
            self._variables += 1
            found = self._numbered[expression] = Scalar(f"v{self._variables}", kind, can_be_null)
            self.lines.append(f"{found.text} = {expression}")
        return found

    def constant(self, value: Any, key: Any = None) -> str:
        """The name under which the function finds a value; values of one `key` are one."""
        if key is not None and key in self._named:
            return self._named[key]
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        if key is not None:
            self._named[key] = name
        return name

    def function(self, answers: str) -> Callable[[Mapping[str, Any]], Any]:
        """The function of the lines, which returns `answers`."""
        body = "\n".join(f"    {line}" for line in [*self.lines, f"return {answers}"])
        names = dict(self.constants)
        exec(
            compile(f"def score(row):\n    get = row.get\n{body}\n", "<model>", "exec"), names
        )  # our own lines, see above
        made: Callable[[Mapping[str, Any]], Any] = names["score"]
        return made
