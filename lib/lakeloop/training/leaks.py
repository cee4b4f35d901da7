"""Features that tell too much, or nothing: each measured alone, on rows that are learned from.

A feature that alone separates the classes with an area under the ROC curve above 0.99, or that has a correlation
(Pearson's, or Spearman's of ranks) above 0.99 with a number, is more often written after the event than a good one. It
is measured on the rows that have it, and on all, where a missing value is less than all others, then more than all: a
date that only leavers have is found as well. A categorical feature is measured by the mean of the label that its
category has in other rows, so that a column of identifiers is no leak.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from scipy.stats import rankdata

from lakeloop.training.algorithms import LABEL_COL
from lakeloop.training.features.conforming import category, number
from lakeloop.training.spec.model import ModelSpec

MOST_ROWS = 20_000
MOST_VALUES = 2_000_000
FEWEST_ROWS = 10
LIMIT = 0.99
PARTS = 5
Floats = NDArray[np.float64]


def find_leaks(spec: ModelSpec, rows: DataFrame) -> tuple[str, ...]:
    """A sentence for each feature that alone tells the label, and for each that never changes.

    One pass over `rows`, which have the key, the features and `_label`; 20,000 of them, the same ones each time, reach
    the driver, fewer where there are more than 100 features. Fewer than 10 rows (of each class) tell nothing.
    """
    features = spec.features
    ordered = [*features.numeric, *features.date_parts]
    sampled = (
        rows.orderBy(F.xxhash64(F.lit("leaks"), F.col(f"`{spec.key}`").cast("string")), F.col(f"`{spec.key}`"))
        .limit(min(MOST_ROWS, MOST_VALUES // len(features.columns)))
        .select(
            F.col(LABEL_COL).alias("label"),
            F.array(*map(F.expr, map(number, features.numeric)), *map(_moment, features.date_parts)).alias("numbers"),
            F.array(*map(F.expr, map(category, features.categorical))).alias("texts"),
        )
        .collect()
    )
    label = np.array([row["label"] for row in sampled], dtype=np.float64)
    numbers = np.array([row["numbers"] for row in sampled], dtype=np.float64).reshape(len(label), len(ordered))
    tells = _tells_number if spec.task == "regression" else _tells_class
    found: list[str] = []
    for name, values in zip(ordered, numbers.T, strict=True):
        known = ~np.isnan(values)
        told = max(tells(values[known], label[known]), *(tells(made, label) for made in _completed(values, known)))
        found += _said(spec, name, told, np.unique(values).size <= 1, len(label))  # NaNs are one value
    for at, name in enumerate(features.categorical):
        _, codes = np.unique([row["texts"][at] for row in sampled], return_inverse=True)
        found += _said(spec, name, tells(_means_elsewhere(codes, label), label), not codes.any(), len(label))
    return tuple(found)


def _moment(column: str) -> Column:
    return F.unix_micros(F.col(f"`{column}`").cast("timestamp")).cast("double")


def _said(spec: ModelSpec, name: str, tells: float, is_constant: bool, rows: int) -> Sequence[str]:
    if is_constant:
        return (f"feature '{name}' never changes in {rows} rows: it tells nothing; take it out",)
    if tells > LIMIT:
        measure = "a correlation" if spec.task == "regression" else "an area under the ROC curve"
        told = f"feature '{name}' alone tells '{spec.label.column}', with {measure} of {tells:.4f} on {rows} rows"
        return (f"{told}; make sure that it is known before the label is, or take it out",)
    return ()


def _completed(values: Floats, known: NDArray[np.bool_]) -> Iterator[Floats]:
    """The values with what is missing below all others, and above."""
    least, most = (values[known].min(), values[known].max()) if known.any() else (0.0, 0.0)
    for far in (least - 1, most + 1):
        yield np.where(known, values, far)


def _means_elsewhere(codes: NDArray[np.intp], label: Floats) -> Floats:
    """The mean of the label in rows of the same code in other parts; the mean of all in other parts if it has none."""
    part = np.arange(len(label)) % PARTS
    rows, sums = np.zeros((2, PARTS, codes.max(initial=0) + 1))
    np.add.at(rows, (part, codes), 1)
    np.add.at(sums, (part, codes), label)
    rows_beside, sums_beside = (counts.sum(axis=0) - counts for counts in (rows, sums))
    mean = sums_beside.sum(axis=1, keepdims=True) / np.maximum(rows_beside.sum(axis=1, keepdims=True), 1)
    means = np.where(rows_beside > 0, sums_beside / np.maximum(rows_beside, 1), mean)
    return np.asarray(means[part, codes], dtype=np.float64)


def _tells_class(values: Floats, label: Floats) -> float:
    """Area under the ROC curve, or above it, of 1.0 and 0.0, ties half (Mann and Whitney's U over its greatest)."""
    positives = label.sum()
    negatives = len(label) - positives
    if min(positives, negatives) < FEWEST_ROWS:
        return 0.0
    area = (rankdata(values)[label == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives)
    return float(max(area, 1 - area))


def _tells_number(values: Floats, label: Floats) -> float:
    if len(label) < FEWEST_ROWS:
        return 0.0
    return max(_pearson(values, label), _pearson(rankdata(values), rankdata(label)))


def _pearson(one: Floats, other: Floats) -> float:
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(abs(np.corrcoef(one, other)[0, 1]))
