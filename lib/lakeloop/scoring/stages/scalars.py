"""Stages that make scalar columns: expressions, imputed numbers, indexes of categories and buckets, thresholds."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.core.errors import ScoringError
from lakeloop.scoring.blocks import Codes, Floats
from lakeloop.scoring.columns import Columns
from lakeloop.scoring.expressions import Tree, columns_of, of_row, of_rows
from lakeloop.scoring.row_code import RowCode, Scalar


@dataclass(frozen=True)
class Expressions:
    """Spark's SQLTransformer: columns by name, each an expression."""

    made: dict[str, Tree]

    def define(self, columns: Columns) -> None:
        for name, tree in self.made.items():
            columns.define(name, partial(of_rows, tree, columns))
            if len(sources := columns_of(tree)) == 1 and name not in sources:
                columns.define_of_values(name, sources.pop(), partial(of_rows, tree))

    def emit(self, code: RowCode) -> None:
        for name, tree in self.made.items():
            code.define(name, partial(of_row, tree, code))


@dataclass(frozen=True)
class Impute:
    """Spark's Imputer: NULL, NaN and `missing` become `fills`, a number for each column."""

    inputs: list[str]
    outputs: list[str]
    fills: list[float]
    missing: float

    def define(self, columns: Columns) -> None:
        for source, target, fill in zip(self.inputs, self.outputs, self.fills, strict=True):
            columns.define(target, partial(self._filled, columns, source, fill))

    def _filled(self, columns: Columns, source: str, fill: float) -> Floats:
        numbers = columns.numbers(source)
        filled: Floats = np.where(np.isnan(numbers) | (numbers == self.missing), fill, numbers)
        return filled

    def emit(self, code: RowCode) -> None:
        for source, target, fill in zip(self.inputs, self.outputs, self.fills, strict=True):
            code.define(target, partial(self._filled_row, code, source, fill))

    def _filled_row(self, code: RowCode, source: str, fill: float) -> Scalar:
        given = code.scalar(source)
        tests = [f"{given.text} is None"] if given.can_be_null else []
        tests.append(f"{given.text} != {given.text}")
        if self.missing == self.missing:  # not NaN
            tests.append(f"{given.text} == {self.missing!r}")
        return code.assign(f"{fill!r} if {' or '.join(tests)} else {given.text}")


@dataclass(frozen=True)
class Index:
    """Spark's StringIndexerModel: the place of a text among `labels`; another one, or NULL, comes after them all.

    Where `keeps` is false it is refused instead (ScoringError).
    """

    inputs: list[str]
    outputs: list[str]
    labels: list[list[str]]
    keeps: bool

    def define(self, columns: Columns) -> None:
        for source, target, labels in zip(self.inputs, self.outputs, self.labels, strict=True):
            columns.define(target, partial(self._indexed, columns, source, labels))

    def _indexed(self, columns: Columns, source: str, labels: list[str]) -> Codes:
        codes, values = columns.categories(source)
        found = pc.index_in(pc.cast(values, pa.string()), value_set=pa.array(labels, pa.string()))
        if found.null_count and not self.keeps:
            raise ScoringError(f"column {source} has a category that was not there in training")
        places: Codes = pc.fill_null(found, len(labels)).to_numpy(zero_copy_only=False).astype(np.intp)
        return places.take(codes)

    def emit(self, code: RowCode) -> None:
        for source, target, labels in zip(self.inputs, self.outputs, self.labels, strict=True):
            code.define(target, partial(self._indexed_row, code, source, labels))

    def _indexed_row(self, code: RowCode, source: str, labels: list[str]) -> Scalar:
        places = code.constant({label: at for at, label in enumerate(labels)})
        text = code.scalar(source).text
        if self.keeps:
            return code.assign(f"{places}.get({text}, {len(labels)})", "int")
        return code.assign(f"known({places}, {text}, {code.constant(source)})", "int")


@dataclass(frozen=True)
class Bucket:
    """Spark's Bucketizer: the place of a number between `splits`; NaN has a bucket after the last one, if it `keeps`.

    A number below the first or above the last split is refused (ScoringError), and so is NaN where it does not.
    """

    inputs: list[str]
    outputs: list[str]
    splits: list[list[float]]
    keeps: bool

    def define(self, columns: Columns) -> None:
        for source, target, splits in zip(self.inputs, self.outputs, self.splits, strict=True):
            columns.define(target, partial(self._bucketed, columns, source, splits))

    def _bucketed(self, columns: Columns, source: str, splits: list[float]) -> Codes:
        numbers = columns.numbers(source)
        is_missing = np.isnan(numbers)
        buckets = np.searchsorted(np.array(splits), numbers, side="right") - 1
        buckets = np.where(numbers == splits[-1], len(splits) - 2, buckets)
        if not self.keeps and is_missing.any():
            raise ScoringError(f"column {source} has a missing number, for which the model has no bucket")
        if ((buckets < 0) | (buckets > len(splits) - 2))[~is_missing].any():
            raise ScoringError(f"column {source} has a number out of [{splits[0]}, {splits[-1]}]")
        bucketed: Codes = np.where(is_missing, len(splits) - 1, buckets)
        return bucketed

    def emit(self, code: RowCode) -> None:
        for source, target, splits in zip(self.inputs, self.outputs, self.splits, strict=True):
            code.define(target, partial(self._bucketed_row, code, source, splits))

    def _bucketed_row(self, code: RowCode, source: str, splits: list[float]) -> Scalar:
        given = code.scalar(source).text
        return code.assign(
            f"bucket({code.constant(tuple(splits))}, {given}, {self.keeps!r}, {code.constant(source)})", "int"
        )


@dataclass(frozen=True)
class Binarize:
    """Spark's Binarizer of scalars: 1.0 above the threshold, else 0.0; NaN, which is above nothing, is 0.0."""

    inputs: list[str]
    outputs: list[str]
    thresholds: list[float]

    def define(self, columns: Columns) -> None:
        for source, target, threshold in zip(self.inputs, self.outputs, self.thresholds, strict=True):
            columns.define(target, partial(self._called, columns, source, threshold))

    def _called(self, columns: Columns, source: str, threshold: float) -> Floats:
        called: Floats = (columns.numbers(source) > threshold).astype(np.float64)
        return called

    def emit(self, code: RowCode) -> None:
        for source, target, threshold in zip(self.inputs, self.outputs, self.thresholds, strict=True):
            code.define(target, partial(self._called_row, code, source, threshold))

    def _called_row(self, code: RowCode, source: str, threshold: float) -> Scalar:
        return code.assign(f"1.0 if {code.scalar(source).text} > {threshold!r} else 0.0")


@dataclass(frozen=True)
class Isotonic:
    """Spark's IsotonicRegressionModel: straight lines between points, flat outside; of one slot of a vector."""

    input: str
    output: str
    slot: int
    boundaries: np.ndarray[Any, np.dtype[np.float64]]
    predictions: np.ndarray[Any, np.dtype[np.float64]]

    def define(self, columns: Columns) -> None:
        columns.define(self.output, lambda: self._interpolated(columns.vectors(self.input).array()[:, self.slot]))

    def _interpolated(self, given: Floats) -> Floats:
        # numpy's interp multiplies the slope, Spark too; at a point both give it as it is.
        interpolated: Floats = np.interp(given, self.boundaries, self.predictions)
        return interpolated

    def emit(self, code: RowCode) -> None:
        code.define(self.output, lambda: self._interpolated_row(code))

    def _interpolated_row(self, code: RowCode) -> Scalar:
        given = code.slots(self.input)[self.slot].text()
        points = f"{code.constant(self.boundaries.tolist())}, {code.constant(self.predictions.tolist())}"
        return code.assign(f"interpolated({given}, {points})")
