"""Models that weigh slots: logistic and linear regression, their generalisations, the linear support vector machine."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lakeloop.scoring.blocks import Floats
from lakeloop.scoring.columns import Columns
from lakeloop.scoring.row_code import RowCode, Scalar
from lakeloop.scoring.slots import Slot
from lakeloop.scoring.stages.two_classes import define_classes, emit_classes

Array = np.ndarray[Any, np.dtype[np.float64]]
# What makes the mean of a linear predictor, as numpy and as Python.
INVERSE_LINKS: dict[str, tuple[Any, str]] = {
    "identity": (lambda eta: eta, "{0}"),
    "log": (np.exp, "exp({0})"),
    "logit": (lambda eta: 1 / (1 + np.exp(-eta)), "1.0 / (1.0 + exp(-{0}))"),
    "inverse": (lambda eta: 1 / eta, "1.0 / {0}"),
    "sqrt": (lambda eta: eta * eta, "{0} * {0}"),
}


@dataclass(frozen=True)
class BinaryLinear:
    """Logistic regression of two classes, or a support vector machine where there is no `probability` column.

    The margin is slots · coefficients + intercept; raw are (-margin, margin); positive is a margin above `threshold`.
    """

    features: str
    raw: str
    probability: str
    prediction: str
    coefficients: Array
    intercept: float
    threshold: float

    def define(self, columns: Columns) -> None:
        def margin() -> Floats:
            found: Floats = columns.vectors(self.features).times(self.coefficients) + self.intercept
            return found

        define_classes(self, columns, margin, threshold=self.threshold)

    def emit(self, code: RowCode) -> None:
        def margin() -> str:
            return code.dot(self.features, self.coefficients, self.intercept)

        emit_classes(self, code, margin, threshold=self.threshold)


@dataclass(frozen=True)
class SoftmaxLinear:
    """Logistic regression of several classes: coefficients of shape (classes, slots), intercepts of (classes,)."""

    features: str
    raw: str
    probability: str
    prediction: str
    coefficients: Array
    intercepts: Array

    def define(self, columns: Columns) -> None:
        def shares() -> Floats:
            raw = columns[self.raw]
            powers = np.exp(raw - raw.max(axis=1, keepdims=True))
            found: Floats = powers / powers.sum(axis=1, keepdims=True)
            return found

        columns.define(self.raw, lambda: columns.vectors(self.features).times(self.coefficients.T) + self.intercepts)
        columns.define(self.probability, shares)
        columns.define(self.prediction, lambda: columns[self.raw].argmax(axis=1).astype(np.float64))

    def emit(self, code: RowCode) -> None:
        def raw() -> list[Slot]:
            classes = zip(self.coefficients, self.intercepts.tolist(), strict=True)
            return [
                Slot("number", code.assign(code.dot(self.features, weights, intercept)).text)
                for weights, intercept in classes
            ]

        def shares() -> list[Slot]:
            listed = ", ".join(slot.text() for slot in code.slots(self.raw))
            found = code.assign(f"softmax([{listed}])", "list").text
            return [Slot("number", code.assign(f"{found}[{at}]").text) for at in range(len(self.intercepts))]

        def call() -> Scalar:
            listed = ", ".join(slot.text() for slot in code.slots(self.raw))
            return code.assign(f"argmax([{listed}])")

        code.define(self.raw, raw)
        code.define(self.probability, shares)
        code.define(self.prediction, call)


@dataclass(frozen=True)
class LinearNumber:
    """Linear regression, also generalised: the mean that `link` makes of the linear predictor, within `low` and `high`.

    Spark keeps the means of a family where the family has them (`Family.project`).
    """

    features: str
    prediction: str
    coefficients: Array
    intercept: float
    link: str = "identity"
    low: float = -np.inf
    high: float = np.inf

    def define(self, columns: Columns) -> None:
        def predicted() -> Floats:
            made: Floats = INVERSE_LINKS[self.link][0](
                columns.vectors(self.features).times(self.coefficients) + self.intercept
            )
            return np.clip(made, self.low, self.high)

        columns.define(self.prediction, predicted)

    def emit(self, code: RowCode) -> None:
        def predicted() -> Scalar:
            predictor = code.assign(code.dot(self.features, self.coefficients, self.intercept)).text
            mean = code.assign(INVERSE_LINKS[self.link][1].format(predictor))
            if (self.low, self.high) == (-np.inf, np.inf):
                return mean
            return code.assign(f"clipped({mean.text}, {self.low!r}, {self.high!r})")

        code.define(self.prediction, predicted)
