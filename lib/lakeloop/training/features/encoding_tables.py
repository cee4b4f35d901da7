"""The number of each category, from how many rows it has and what their labels sum to.

`target`: (sum of the label + m * mean of all) / (rows + m), where m is `smoothing`: the m-estimate of Micci-Barreca, "A
preprocessing scheme for high-cardinality categorical attributes" (SIGKDD Explorations 3(1), 2001, with its weight
n / (n + m)), which is scikit-learn's `TargetEncoder(smooth=m)` too. A category that was not there is the mean of all.
`frequency`: rows of the category / all rows; 0 for one that was not there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lakeloop.training.features.learned_rows import PARTS
from lakeloop.training.spec.features import Encoding


@dataclass(frozen=True)
class EncodingTable:
    """The number of each category in the order of the index, and at last that of any other.

    `all`, shape (categories + 1,), is of all rows; `beside`, shape (PARTS, categories + 1), of those that are not in a
    part, and None where no label goes into the number.
    """

    all: NDArray[np.float64]
    beside: NDArray[np.float64] | None


def encoding_table(
    encoding: Encoding, counts: Mapping[str, NDArray[np.float64]], labels: Sequence[str], smoothing: float
) -> EncodingTable:
    """`counts`: by category rows and sums of the label in each part, shape (2, PARTS); `labels`: the index's order.

    Where all rows are in one part, nothing is beside it, and its rows all have the mean of all, which tells nothing.
    """
    by_part = np.stack([counts[label] for label in labels], axis=-1)  # (2, PARTS, categories)
    rows, sums = by_part.sum(axis=1)
    if encoding == "frequency":
        return EncodingTable(np.append(rows / rows.sum(), 0.0), None)
    if np.count_nonzero(by_part[0].sum(axis=-1)) == 1:
        beside = np.full((PARTS, len(labels) + 1), sums.sum() / rows.sum())
    else:
        others = by_part.sum(axis=1, keepdims=True) - by_part
        beside = np.stack(
            [_smoothed(part_rows, part_sums, smoothing) for part_rows, part_sums in zip(*others, strict=True)]
        )
    return EncodingTable(_smoothed(rows, sums, smoothing), beside)


def _smoothed(rows: NDArray[np.float64], sums: NDArray[np.float64], smoothing: float) -> NDArray[np.float64]:
    mean = sums.sum() / rows.sum()
    weights = rows + smoothing
    means = np.divide(sums + smoothing * mean, weights, out=np.full_like(sums, mean), where=weights > 0)
    return np.append(means, mean)
