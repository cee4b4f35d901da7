"""Naive Bayes, the multilayer perceptron, and recommendation by alternating least squares."""

from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from lakeloop.scoring.blocks import Floats
from lakeloop.scoring.columns import Columns
from lakeloop.scoring.row_code import RowCode, Scalar
from lakeloop.scoring.slots import Slot

Array = np.ndarray[Any, np.dtype[np.float64]]
Places = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class NaiveBayes:
    """Spark's NaiveBayesModel: log shares of the classes `pi`, and `theta`, `sigma` of shape (classes, slots).

    `kind` is gaussian, multinomial, complement or bernoulli, whose `sigma` is empty but of the first.
    """

    features: str
    raw: str
    probability: str
    prediction: str
    kind: str
    pi: Array
    theta: Array
    sigma: Array

    def define(self, columns: Columns) -> None:
        columns.define(self.raw, lambda: self._raw(columns.vectors(self.features).array()))
        columns.define(self.probability, lambda: _shares(columns[self.raw]))
        columns.define(self.prediction, lambda: columns[self.raw].argmax(axis=1).astype(np.float64))

    def _raw(self, rows: Floats) -> Floats:
        if self.kind == "gaussian":
            constant = self.pi - 0.5 * np.log(2 * pi * self.sigma).sum(axis=1)
            apart = rows[:, np.newaxis, :] - self.theta
            likely: Floats = constant - 0.5 * (apart * apart / self.sigma).sum(axis=2)
            return likely
        if self.kind == "bernoulli":
            absent = np.log1p(-np.exp(self.theta))
            likely = rows @ (self.theta - absent).T + self.pi + absent.sum(axis=1)
        else:
            likely = rows @ self.theta.T + (0.0 if self.kind == "complement" else self.pi)
        return likely

    def emit(self, code: RowCode) -> None:
        emit_by_array(self, code, lambda row: self._raw(row[np.newaxis])[0], len(self.pi))


@dataclass(frozen=True)
class Perceptron:
    """Spark's MultilayerPerceptronClassificationModel: sigmoid layers, and softmax at the end.

    `weights` are those of all layers in one array: of each the matrix, shape (inputs, units), then the biases.
    """

    features: str
    raw: str
    probability: str
    prediction: str
    layers: list[int]
    weights: Array

    def define(self, columns: Columns) -> None:
        columns.define(self.raw, lambda: self._raw(columns.vectors(self.features).array()))
        columns.define(self.probability, lambda: _shares(columns[self.raw]))
        columns.define(self.prediction, lambda: columns[self.raw].argmax(axis=1).astype(np.float64))

    def _raw(self, rows: Floats) -> Floats:
        at = 0
        for number, (inputs, units) in enumerate(zip(self.layers, self.layers[1:], strict=False)):
            of_layer = self.weights[at : at + inputs * units].reshape(inputs, units)
            biases = self.weights[at + inputs * units : at + (inputs + 1) * units]
            at += (inputs + 1) * units
            rows = rows @ of_layer + biases
            if number < len(self.layers) - 2:
                rows = 1.0 / (1.0 + np.exp(-rows))
        return rows

    def emit(self, code: RowCode) -> None:
        emit_by_array(self, code, lambda row: self._raw(row[np.newaxis])[0], self.layers[-1])


@dataclass(frozen=True)
class Factors:
    """Spark's ALSModel: the product of the factors of a user and an item in 32-bit floats; NaN for one not known."""

    user: str
    item: str
    prediction: str
    users: Places
    items: Places
    user_factors: np.ndarray[Any, np.dtype[np.float32]]
    item_factors: np.ndarray[Any, np.dtype[np.float32]]

    def define(self, columns: Columns) -> None:
        def predicted() -> Floats:
            users, is_user = _places(self.users, columns.numbers(self.user))
            items, is_item = _places(self.items, columns.numbers(self.item))
            products = np.einsum("rf,rf->r", self.user_factors[users], self.item_factors[items])
            found: Floats = np.where(is_user & is_item, products, np.float32(np.nan)).astype(np.float64)
            return found

        columns.define(self.prediction, predicted)

    def emit(self, code: RowCode) -> None:
        users = code.constant({key: at for at, key in enumerate(self.users.tolist())})
        items = code.constant({key: at for at, key in enumerate(self.items.tolist())})

        def product(user: float, item: float) -> float:
            left, right = code.constants[users].get(user), code.constants[items].get(item)
            if left is None or right is None:
                return float("nan")
            return float(self.user_factors[left] @ self.item_factors[right])

        code.define(
            self.prediction,
            lambda: code.assign(
                f"{code.constant(product)}({code.scalar(self.user).text}, {code.scalar(self.item).text})"
            ),
        )


def _places(keys: Places, wanted: Floats) -> tuple[Places, np.ndarray[Any, np.dtype[np.bool_]]]:
    places = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return places, keys[places] == wanted


def _shares(raw: Floats) -> Floats:
    powers = np.exp(raw - raw.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def emit_by_array(stage: Any, code: RowCode, raw_of: Any, classes: int) -> None:
    """Lines for a model whose slots all go into one array."""

    def listed_raw(row: list[float]) -> list[float]:
        with np.errstate(all="ignore"):
            found: list[float] = raw_of(np.array(row)).tolist()
            return found

    def raw() -> list[Slot]:
        listed = ", ".join(slot.text() for slot in code.slots(stage.features))
        found = code.assign(f"{code.constant(listed_raw)}([{listed}])", "list").text
        return [Slot("number", code.assign(f"{found}[{at}]").text) for at in range(classes)]

    def listed() -> str:
        return ", ".join(slot.text() for slot in code.slots(stage.raw))

    def shares() -> list[Slot]:
        found = code.assign(f"softmax([{listed()}])", "list").text
        return [Slot("number", code.assign(f"{found}[{at}]").text) for at in range(classes)]

    def call() -> Scalar:
        return code.assign(f"argmax([{listed()}])")

    code.define(stage.raw, raw)
    code.define(stage.probability, shares)
    code.define(stage.prediction, call)
