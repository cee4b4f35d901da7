"""The slots of a vector of one row, as far as they are known before there is a row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lakeloop.scoring.row_code import RowCode


@dataclass(frozen=True)
class Slot:
    """`number`: the variable `of` itself; `hot`: `on` where the variable, below `size`, is `at`, else `off`.

    `constant`: `on`. `count`: `on` times what the dictionary `of` has under `at`, 0 if it has nothing.
    """

    kind: Literal["number", "hot", "constant", "count"]
    of: str = ""
    at: int = 0
    on: float = 1.0
    off: float = 0.0
    size: int = 0

    def moved(self, code: "RowCode", factor: float, shift: float = 0.0) -> "Slot":
        """(slot - shift) * factor, as Spark's scalers compute it."""
        if self.kind in ("hot", "constant"):
            return replace(self, on=(self.on - shift) * factor, off=(self.off - shift) * factor)
        if self.kind == "count" and not shift:
            return replace(self, on=self.on * factor)
        moved = self.text() if not shift else f"({self.text()} - {shift!r})"
        return Slot("number", code.assign(f"{moved} * {factor!r}").text)

    def text(self) -> str:
        """The value as an expression."""
        if self.kind == "number":
            return self.of
        if self.kind == "constant":
            return repr(self.on)
        if self.kind == "count":
            return f"{self.of}.get({self.at}, 0.0) * {self.on!r}"
        return f"({self.on!r} if {self.of} == {self.at} else {self.off!r})"

    def test(self, code: "RowCode", goes_left: "Split") -> str | bool:
        """Whether a split sends the row to the left: an expression, or what it is of every row."""
        if self.kind == "constant":
            return goes_left.of(self.on)
        if self.kind == "hot":
            on, off = goes_left.of(self.on), goes_left.of(self.off)
            return on if on == off else f"{self.of} == {self.at}" if on else f"{self.of} != {self.at}"
        value = self.of if self.kind == "number" else code.assign(self.text()).text
        if goes_left.categories is None:
            return f"{value} <= {goes_left.threshold!r}"
        return f"{value} in {code.constant(goes_left.categories, goes_left.categories)}"


@dataclass(frozen=True)
class Split:
    """Left goes what is not above the threshold, or one of the categories; NaN goes right."""

    threshold: float
    categories: frozenset[float] | None = None

    def of(self, value: float) -> bool:
        """Whether a value goes left."""
        return value <= self.threshold if self.categories is None else value in self.categories


def dot(code: "RowCode", slots: Sequence[Slot], weights: Sequence[float], intercept: float) -> str:
    """The sum of slots times weights as an expression: one look-up for all hot slots of a variable."""
    constant, terms = intercept, []
    tables: dict[str, list[float]] = {}
    counts: dict[str, dict[int, float]] = {}
    for slot, weight in zip(slots, weights, strict=True):
        if slot.kind == "constant":
            constant += slot.on * weight
        elif slot.kind == "hot":
            table = tables.setdefault(slot.of, [0.0] * slot.size)
            constant += slot.off * weight
            table[slot.at] += (slot.on - slot.off) * weight
        elif slot.kind == "count":
            found = counts.setdefault(slot.of, {})
            found[slot.at] = found.get(slot.at, 0.0) + slot.on * weight
        elif weight:
            terms.append(f"{slot.of} * {weight!r}")
    for variable, table in tables.items():
        if any(table):
            terms.append(f"{code.constant(tuple(table))}[{variable}]")
    for variable, found in counts.items():
        terms.append(f"weighted({code.constant(found)}, {variable})")
    return " + ".join([repr(constant), *terms])
