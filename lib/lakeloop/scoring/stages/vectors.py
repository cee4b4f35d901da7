"""Stages that make vectors: one-hot slots, assembled ones, scaled, chosen and projected ones."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from lakeloop.scoring.blocks import Coded, Floats, Vectors, side_by_side
from lakeloop.scoring.columns import Columns
from lakeloop.scoring.row_code import RowCode
from lakeloop.scoring.slots import Slot, dot, values_of

Array = np.ndarray[Any, np.dtype[np.float64]]
Places = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class OneHot:
    """Spark's OneHotEncoderModel: `sizes[k]` slots, all 0 where the index of a row is larger."""

    inputs: list[str]
    outputs: list[str]
    sizes: list[int]

    def define(self, columns: Columns) -> None:
        for source, target, size in zip(self.inputs, self.outputs, self.sizes, strict=True):
            columns.define(target, partial(self._slots, columns, source, size))

    def _slots(self, columns: Columns, source: str, size: int) -> Vectors:
        # One number more than there are slots: larger indexes go there, and have only zeros.
        return Vectors((Coded(np.minimum(columns.codes(source), size), np.eye(size + 1, size)),))

    def emit(self, code: RowCode) -> None:
        for source, target, size in zip(self.inputs, self.outputs, self.sizes, strict=True):
            code.define(target, partial(self._slots_row, code, source, size))

    def _slots_row(self, code: RowCode, source: str, size: int) -> list[Slot]:
        index = code.scalar(source)
        # A table of all slots and one more, which is where larger indexes go.
        at = index.text if index.kind == "int" else code.assign(f"int({index.text})", "int").text
        at = code.assign(f"{at} if {at} < {size} else {size}", "int").text
        return [Slot("hot", at, slot, size=size + 1) for slot in range(size)]


@dataclass(frozen=True)
class Assemble:
    """Spark's VectorAssembler."""

    inputs: list[str]
    output: str

    def define(self, columns: Columns) -> None:
        columns.define(self.output, lambda: side_by_side([columns.vectors(name) for name in self.inputs]))

    def emit(self, code: RowCode) -> None:
        code.define(self.output, lambda: [slot for name in self.inputs for slot in code.slots(name)])


@dataclass(frozen=True)
class Scale:
    """Spark's scalers: (slot - shift) * factor + offset. A shift or an offset of 0 changes no bit."""

    input: str
    output: str
    shifts: Array
    factors: Array
    offset: float = 0.0

    def define(self, columns: Columns) -> None:
        columns.define(self.output, lambda: columns.vectors(self.input).moved(self.shifts, self.factors, self.offset))

    def emit(self, code: RowCode) -> None:
        code.define(self.output, lambda: self._scaled_row(code))

    def _scaled_row(self, code: RowCode) -> list[Slot]:
        moves = zip(code.slots(self.input), self.factors.tolist(), self.shifts.tolist(), strict=True)
        scaled = [slot.moved(code, factor, shift) for slot, factor, shift in moves]
        return [slot.moved(code, 1.0, -self.offset) for slot in scaled] if self.offset else scaled


@dataclass(frozen=True)
class Normalize:
    """Spark's Normalizer: slots over the p-norm of the row, which is left as it is where that is 0."""

    input: str
    output: str
    power: float

    def define(self, columns: Columns) -> None:
        def normalized() -> Floats:
            slots = columns.vectors(self.input).array()
            norms = np.linalg.norm(slots, ord=self.power, axis=1, keepdims=True)
            found: Floats = slots / np.where(norms == 0, 1.0, norms)
            return found

        columns.define(self.output, normalized)

    def emit(self, code: RowCode) -> None:
        code.define(self.output, lambda: self._normalized(code))

    def _normalized(self, code: RowCode) -> list[Slot]:
        slots = code.slots(self.input)
        norm = code.constant(lambda row: float(np.linalg.norm(row, ord=self.power)) or 1.0)
        over = code.assign(f"{norm}({values_of(code, slots)})").text
        return [slot.divided(code, over) for slot in slots]


@dataclass(frozen=True)
class Choose:
    """Spark's VectorSlicer and selectors: the slots at `places`, in this order."""

    input: str
    output: str
    places: Places

    def define(self, columns: Columns) -> None:
        columns.define(self.output, lambda: columns.vectors(self.input).chosen(self.places))

    def emit(self, code: RowCode) -> None:
        code.define(self.output, lambda: [code.slots(self.input)[place] for place in self.places.tolist()])


@dataclass(frozen=True)
class Project:
    """Spark's PCAModel: slots times `components`, shape (slots, components); nothing is centred."""

    input: str
    output: str
    components: Array

    def define(self, columns: Columns) -> None:
        columns.define(self.output, lambda: columns.vectors(self.input).times(self.components))

    def emit(self, code: RowCode) -> None:
        code.project(self.output, self.input, self.components)
        code.define(self.output, lambda: self._projected(code))

    def _projected(self, code: RowCode) -> list[Slot]:
        slots = code.slots(self.input)
        return [
            Slot("number", code.assign(dot(code, slots, weights, 0.0)).text) for weights in self.components.T.tolist()
        ]
