"""What models of two classes say by a margin: raw scores, probabilities, and which class it is."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from lakeloop.scoring.blocks import Floats
from lakeloop.scoring.columns import Columns
from lakeloop.scoring.row_code import RowCode
from lakeloop.scoring.slots import Slot


class TwoClasses(Protocol):
    """The names of the columns; no `probability` where a model has none."""

    @property
    def raw(self) -> str: ...
    @property
    def probability(self) -> str: ...
    @property
    def prediction(self) -> str: ...


def define_classes(
    model: TwoClasses, columns: Columns, margin: Callable[[], Floats], *, steepness: float = 1.0, threshold: float = 0.0
) -> None:
    """Raw are (-margin, margin), the probability 1 / (1 + exp(-steepness margin)), positive is above the threshold."""
    margin_col = f"{model.raw} margin"

    def shares() -> Floats:
        share = 1.0 / (1.0 + np.exp(-steepness * columns[margin_col]))
        return np.column_stack([1.0 - share, share])

    columns.define(margin_col, margin)
    columns.define(model.raw, lambda: np.column_stack([-columns[margin_col], columns[margin_col]]))
    if model.probability:
        columns.define(model.probability, shares)
    columns.define(model.prediction, lambda: (columns[margin_col] > threshold).astype(np.float64))


def emit_classes(
    model: TwoClasses, code: RowCode, margin: Callable[[], str], *, steepness: float = 1.0, threshold: float = 0.0
) -> None:
    """The same for one row; `margin` gives an expression."""
    margin_col = f"{model.raw} margin"
    code.define(margin_col, lambda: code.assign(margin()))

    def variable() -> str:
        return code.scalar(margin_col).text

    def shares() -> list[Slot]:
        share = code.assign(f"1.0 / (1.0 + exp({-steepness!r} * {variable()}))").text
        return [Slot("number", code.assign(f"1.0 - {share}").text), Slot("number", share)]

    code.define(model.raw, lambda: [Slot("number", code.assign(f"-{variable()}").text), Slot("number", variable())])
    if model.probability:
        code.define(model.probability, shares)
    code.define(model.prediction, lambda: code.assign(f"1.0 if {variable()} > {threshold!r} else 0.0"))
