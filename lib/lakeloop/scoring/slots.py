"""The slots of a vector of one row, as far as they are known before there is a row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from lakeloop.scoring.row_code import RowCode


@dataclass(frozen=True)
class Slot:
    """`number`: the variable `of` itself; `hot`: `on` where the variable, below `size`, is `at`, else `off`.

    `constant`: `on`. `count`: `on` times what the dictionary `of` has under `at`, 0 if it has nothing; over the
    variable `over`, if there is one.
    """

    kind: Literal["number", "hot", "constant", "count"]
    of: str = ""
    at: int = 0
    on: float = 1.0
    off: float = 0.0
    size: int = 0
    over: str = ""

    def moved(self, code: "RowCode", factor: float, shift: float = 0.0) -> "Slot":
        """(slot - shift) * factor, as Spark's scalers compute it."""
        if self.kind in ("hot", "constant"):
            return replace(self, on=(self.on - shift) * factor, off=(self.off - shift) * factor)
        if self.kind == "count" and not shift:
            return replace(self, on=self.on * factor)
        moved = self.text() if not shift else f"({self.text()} - {shift!r})"
        return Slot("number", code.assign(f"{moved} * {factor!r}").text)

    def divided(self, code: "RowCode", over: str) -> "Slot":
        """The slot over a variable."""
        if self.kind == "count" and not self.over:
            return replace(self, over=over)
        return Slot("number", code.assign(f"{self.text()} / {over}").text)

    def text(self) -> str:
        """The value as an expression."""
        if self.kind == "number":
            return self.of
        if self.kind == "constant":
            return repr(self.on)
        if self.kind == "count":
            value = f"{self.of}.get({self.at}, 0.0) * {self.on!r}"
            return f"{value} / {self.over}" if self.over else value
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
    counts: dict[tuple[str, str], dict[int, float]] = {}
    for slot, weight in zip(slots, weights, strict=True):
        if slot.kind == "constant":
            constant += slot.on * weight
        elif slot.kind == "hot":
            table = tables.setdefault(slot.of, [0.0] * slot.size)
            constant += slot.off * weight
            table[slot.at] += (slot.on - slot.off) * weight
        elif slot.kind == "count":
            found = counts.setdefault((slot.of, slot.over), {})
            found[slot.at] = found.get(slot.at, 0.0) + slot.on * weight
        elif weight:
            terms.append(f"{slot.of} * {weight!r}")
    for variable, table in tables.items():
        if any(table):
            terms.append(f"{code.constant(tuple(table))}[{variable}]")
    for (variable, over), found in counts.items():
        said = f"weighted({code.constant(found)}, {variable})"
        terms.append(f"{said} / {over}" if over else said)
    return " + ".join([repr(constant), *terms])


def values_of(code: "RowCode", slots: Sequence[Slot]) -> str:
    """The values of the slots that are not 0 for a reason known before, as an expression that makes a list of them."""
    counts: dict[tuple[str, str], dict[int, float]] = {}
    listed = []
    for slot in slots:
        if slot.kind == "count":
            counts.setdefault((slot.of, slot.over), {})[slot.at] = slot.on
        else:
            listed.append(slot.text())
    for (variable, over), factors in counts.items():
        said = f"{variable}, {code.constant(factors)}, {over or 1.0}"
        listed.append(f"*counted({said})")
    return f"[{', '.join(listed)}]"
