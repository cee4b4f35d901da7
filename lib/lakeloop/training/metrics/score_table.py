"""Rows counted by class and score cell: all that metrics, calibration and thresholds of a classifier need.

There are 10,001 cells of width 1e-4, so at most 20,002 counts reach the driver whatever the number of rows. Cell `c`
holds the scores in ((c - 1) / 10,000, c / 10,000]: a threshold of four decimals is the boundary of two cells.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pyspark.ml.functions import vector_to_array
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakeloop.training.metrics.slicing import UNCALIBRATED, WHOLE, Slice, exploded

CELLS = 10_000
CALIBRATED_COL, UNCALIBRATED_COL = "score__calibrated", "probability__uncalibrated"


@dataclass(frozen=True)
class ScoreTable:
    """Rows per score cell: two arrays of int64, shape (10,001,), index = cell."""

    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]

    @classmethod
    def of(cls, scored: DataFrame, label_col: str, probability_col: str = "probability") -> Self:
        """Count rows with a label of 1.0 or 0.0 and a score as `score_of` finds it, in one pass."""
        return cls.per_slice(scored, label_col, (), probability_col)[WHOLE]

    @classmethod
    def per_slice(
        cls,
        scored: DataFrame,
        label_col: str,
        slices: Sequence[str],
        probability_col: str = "probability",
        *,
        with_uncalibrated: bool = False,
    ) -> dict[Slice, Self]:
        """The tables of all rows (at `WHOLE`) and of each value of each column of `slices`, in one pass over the rows.

        `with_uncalibrated` adds that of all rows by their scores before calibration (at `UNCALIBRATED`), where there
        was one; for calibration keeps their order, this makes at most twice as many counts. A table takes 160 kB;
        whoever declares slices sees to it that their values are few.
        """
        is_calibrated = with_uncalibrated and CALIBRATED_COL in scored.columns
        cells = scored.select(
            _cell_of(score_of(scored, probability_col)).alias("cell"),
            F.col(label_col).alias("label"),
            *([_cell_of(score_of(scored, UNCALIBRATED_COL)).alias("before")] if is_calibrated else []),
            *exploded(slices),
        )
        counts: defaultdict[Slice, NDArray[np.int64]] = defaultdict(_no_rows, {WHOLE: _no_rows()})
        for row in cells.groupBy(*cells.columns).count().collect():
            at, label = Slice(*row["slice"]) if slices else WHOLE, int(row["label"])
            counts[at][label, row["cell"]] += row["count"]
            if is_calibrated and at == WHOLE:
                counts[UNCALIBRATED][label, row["before"]] += row["count"]
        return {at: cls(positives=table[1], negatives=table[0]) for at, table in counts.items()}

    @classmethod
    def pooled(cls, tables: Sequence[Self]) -> Self:
        """The rows of several tables in one."""
        positives, negatives = (
            np.stack(counts).sum(axis=0)
            for counts in ([table.positives for table in tables], [table.negatives for table in tables])
        )
        return cls(positives, negatives)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows per cell of both classes."""
        return self.positives + self.negatives

    def moved(self, cells: NDArray[np.int64]) -> Self:
        """The table of the same rows where those of cell `c` have scores in cell `cells[c]`."""

        def move(counts: NDArray[np.int64]) -> NDArray[np.int64]:
            to = np.zeros_like(counts)
            np.add.at(to, cells, counts)
            return to

        return type(self)(move(self.positives), move(self.negatives))


def score_of(scored: DataFrame, probability_col: str = "probability") -> Column:
    """The probability of the positive class, or 1 / (1 + exp(-margin)) of a model that gives a margin only."""
    if probability_col in scored.columns:
        return vector_to_array(F.col(probability_col))[1]
    return 1 / (1 + F.exp(-vector_to_array(F.col("rawPrediction"))[1]))


def _no_rows() -> NDArray[np.int64]:
    return np.zeros((2, CELLS + 1), dtype=np.int64)


def _cell_of(score: Column) -> Column:
    return F.ceil(score * CELLS).cast("int")


def middles(cells: NDArray[np.intp]) -> NDArray[np.float64]:
    """The score in the middle of each cell, never nearer than 5e-5 to 0 or 1."""
    return np.clip((cells - 0.5) / CELLS, 0.5 / CELLS, 1 - 0.5 / CELLS)


def cell_below(threshold: float) -> int:
    """The last cell whose scores are not above a threshold of four decimals."""
    return round(threshold * CELLS)
