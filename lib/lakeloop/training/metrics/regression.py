"""Metrics of a regression from one pass over the scored rows, in memory that does not grow with them.

Spark sums labels and errors in 1,024 cells that the hash of the key spreads the rows over. What holds of all rows
follows from the sums, and an interval from drawing the cells with replacement: the bootstrap of rows where there are
fewer of these than cells, and that of small groups of rows drawn by chance where there are more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.training.metrics.intervals import Interval, interval
from lakeloop.training.metrics.names import METRICS, Metric
from lakeloop.training.metrics.slicing import WHOLE, Slice, exploded

CELLS = 1024
SHOWN = 1_000


@dataclass(frozen=True)
class RegressionMetrics:
    """Metrics of one set of scored rows, `rmse` and `mae` in units of the label.

    `r2` is 1 - (sum of squared errors) / (sum of squared differences from the mean of these labels), below 0 where the
    mean would have been the better answer. `mape` is the mean of |error / label| over the rows whose label is not 0,
    NaN where there is none. Intervals are 95 % bootstrap percentiles. `shown` are label and prediction of some rows.
    """

    rows: int
    r2: float
    rmse: float
    mae: float
    mape: float
    intervals: Mapping[Metric, Interval] = field(default_factory=dict)
    shown: tuple[tuple[float, float], ...] = ()

    def figures(self) -> dict[Metric, float]:
        """The four numbers that `select_by` can name."""
        return {name: float(getattr(self, name)) for name in METRICS["regression"]}

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True)
class ErrorTable:
    """Sums per cell of rows, each an array of float64 of the same length.

    `deviations` are squared differences of the labels from the mean of their cell, `squares` squared errors, `absolute`
    their sizes, `relative` their sizes in shares of the label over `nonzero` rows.
    """

    rows: NDArray[np.float64]
    means: NDArray[np.float64]
    deviations: NDArray[np.float64]
    squares: NDArray[np.float64]
    absolute: NDArray[np.float64]
    relative: NDArray[np.float64]
    nonzero: NDArray[np.float64]

    @classmethod
    def of(cls, scored: DataFrame, label_col: str, key_col: str, prediction_col: str = "prediction") -> Self:
        """Sum up rows with a label and a prediction, none of them NULL, in one pass."""
        return cls.per_slice(scored, label_col, key_col, (), prediction_col)[WHOLE]

    @classmethod
    def per_slice(
        cls, scored: DataFrame, label_col: str, key_col: str, slices: Sequence[str], prediction_col: str = "prediction"
    ) -> dict[Slice, Self]:
        """The tables of all rows (at `WHOLE`) and of each value of each column of `slices`, in one pass over the rows.

        Whoever declares slices sees to it that their values are few.
        """
        said = scored.select(
            F.pmod(F.xxhash64(F.col(key_col).cast("string")), F.lit(CELLS)).alias("cell"),
            F.col(label_col).alias("label"),
            (F.col(prediction_col) - F.col(label_col)).alias("error"),
            *exploded(slices),
        )
        label, error = F.col("label"), F.col("error")
        share = F.when(label != 0, F.abs(error / label))
        groups = ["slice", "cell"] if slices else ["cell"]
        sums = said.groupBy(*groups).agg(
            F.count("*").alias("rows"),
            F.avg(label).alias("means"),
            (F.var_pop(label) * F.count("*")).alias("deviations"),
            F.sum(error * error).alias("squares"),
            F.sum(F.abs(error)).alias("absolute"),
            F.coalesce(F.sum(share), F.lit(0.0)).alias("relative"),
            F.count(share).alias("nonzero"),
        )
        found: dict[Slice, list[tuple[float, ...]]] = {WHOLE: []}
        for row in sums.orderBy("cell").collect():
            at = Slice(row["slice"]["column"], row["slice"]["value"]) if slices else WHOLE
            found.setdefault(at, []).append(tuple(row)[len(groups) :])
        return {at: cls(*np.array(sums, dtype=np.float64).reshape(-1, 7).T) for at, sums in found.items()}

    def figures(self, times: NDArray[np.float64]) -> dict[Metric, NDArray[np.float64]]:
        """Each metric with the cells taken so many times, `times` having a row for each set of numbers wanted."""
        rows = times @ self.rows
        mean = times @ (self.rows * self.means) / rows
        between = ((self.means[None, :] - mean[:, None]) ** 2 * self.rows * times).sum(axis=1)
        squares, total = times @ self.squares, times @ self.deviations + between
        with np.errstate(divide="ignore", invalid="ignore"):
            return {
                "r2": 1 - squares / total,
                "rmse": np.sqrt(squares / rows),
                "mae": times @ self.absolute / rows,
                "mape": times @ self.relative / (times @ self.nonzero),
            }


def measure_errors(
    table: ErrorTable, resamples: int = 200, seed: int = 0, shown: tuple[tuple[float, float], ...] = ()
) -> RegressionMetrics:
    """All metrics of an error table; `resamples` = 0 leaves out the intervals.

    Raises TrainingError where there is no row, or no two labels that differ: then R² is not defined; and where squared
    errors are beyond a double, as those of exp(400) are.
    """
    cells, rows = len(table.rows), int(table.rows.sum())
    found = table.figures(np.ones((1, cells))) if rows else None
    if found is not None and not np.isfinite(found["rmse"][0]):
        raise TrainingError(
            f"squared errors of {rows} rows are larger than any number that can be held: a model of logarithms, or "
            "with a log link, was asked about features far beyond those that it has learned from; bound them in the "
            "pipeline with rules is_in_range, or take the candidate out"
        )
    if found is None or not np.isfinite(found["r2"][0]):
        raise TrainingError(
            f"metrics need labels that differ, found {rows} rows of one label; score more rows or fewer folds"
        )
    drawn: dict[Metric, NDArray[np.float64]] = {}
    if resamples:
        times = np.random.default_rng(seed).multinomial(cells, np.full(cells, 1 / cells), size=resamples)
        drawn = table.figures(times.astype(np.float64))
    return RegressionMetrics(
        rows=rows,
        r2=float(found["r2"][0]),
        rmse=float(found["rmse"][0]),
        mae=float(found["mae"][0]),
        mape=float(found["mape"][0]),
        intervals={name: said for name, values in drawn.items() if (said := interval(values)) is not None},
        shown=shown,
    )
