"""`outliers`: numbers far from the rest of their batch."""

import math
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Annotated, Literal

from pydantic import Field, RootModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DecimalType, IntegralType, NumericType

from lakeloop.core.documents import Declaration
from lakeloop.core.errors import TableError
from lakeloop.ingestion.transforms import statistics
from lakeloop.ingestion.transforms.allowed import one_of
from lakeloop.ingestion.transforms.conformed import Conformed, unexpected
from lakeloop.ingestion.transforms.statistics import Figure, Take
from lakeloop.quality.row_rules.columns import value_of

Method = Literal["iqr", "zscore", "mad"]
Action = Literal["flag", "clip", "quarantine"]

# What each method takes of a column; of `mad`, the median of the distances from it follows in a second aggregate.
TAKES: Mapping[Method, tuple[Take, ...]] = {
    "iqr": (lambda number: F.percentile(number, F.lit(0.25)), lambda number: F.percentile(number, F.lit(0.75))),
    "zscore": (statistics.mean, F.stddev),
    "mad": (statistics.median,),
}
NORMAL = 1.4826  # of a normal distribution, so many median distances are one standard deviation


class Outlying(Declaration):
    """How far is too far, and what becomes of a value that is."""

    method: Annotated[Method, one_of(Method, "method")]
    limit: float = Field(gt=0, allow_inf_nan=False, description="So many quartile ranges, or standard deviations")
    action: Annotated[Action, one_of(Action, "action")]

    def bounds(self, figures: Sequence[float | None]) -> tuple[float, float] | None:
        """What lies outside them is an outlier; None where the values do not spread, so that nothing is one.

        `figures` are (quartile, quartile), (mean, standard deviation) or (median, median distance).
        """
        first, second = figures
        if first is None or second is None:
            return None
        low, high = (first, second) if self.method == "iqr" else (first, first)
        spread = {"iqr": second - first, "zscore": second, "mad": second * NORMAL}[self.method]
        return (low - self.limit * spread, high + self.limit * spread) if spread > 0 else None


class Outliers(RootModel[Annotated[dict[str, Outlying], Field(min_length=1)]]):
    """`outliers: {a: {method: iqr, limit: 1.5, action: flag}}`: numbers far from the rest of their batch.

    Far is, by `iqr`, more than `limit` quartile ranges outside the quartiles; by `zscore` and `mad`, more than `limit`
    standard deviations from the mean, or from the median where 1.4826 median distances are one. Figures come from the
    batch's rows that are neither dropped nor have a finding so far, all of one step in one aggregate, and one more for
    `mad`. NULL and NaN are no outliers, and where the values do not spread (as when half of them are one value, by
    `iqr` and `mad`) nothing is one. `flag` adds `a_is_outlier`, `clip` puts the bound, rounded to its inside, in place
    of the value, `quarantine` keeps it and quarantines the row as `a_is_outlier`.
    """

    model_config = {"frozen": True}

    @property
    def writes(self) -> set[str]:
        """The columns that are clipped, and the flags."""
        clipped = {column for column, how in self.root.items() if how.action == "clip"}
        return clipped | {f"{column}_is_outlier" for column, how in self.root.items() if how.action == "flag"}

    def apply(self, conformed: Conformed) -> Conformed:
        """Judge the columns as they come into this step. Raises TableError for a column that is not numeric."""
        conformed.require(list(self.root), "outliers")
        conformed.require_free([f"{c}_is_outlier" for c, how in self.root.items() if how.action == "flag"], "outliers")
        schema = conformed.frame.schema
        for column in self.root:
            if not isinstance(source := schema[column].dataType, NumericType):
                raise TableError(
                    f"outliers: {column} is of type {source.simpleString()}; make it a number before, by cast"
                )
        changes, findings = {}, []
        for column, bounds in self._bounds(conformed).items():
            how, value = self.root[column], value_of(column)
            number = value.cast("double")
            low, high = bounds or (-math.inf, math.inf)
            is_outlier = F.coalesce(((number < low) | (number > high)) & ~F.isnan(number), F.lit(False))
            if how.action == "flag":
                changes[f"{column}_is_outlier"] = is_outlier
            elif how.action == "clip" and bounds:
                at_low, at_high = (_inside(bound, bound == low, schema[column].dataType) for bound in bounds)
                changes[column] = F.when(~is_outlier, value).when(number < low, at_low).when(number > high, at_high)
            elif how.action == "quarantine":
                lost = conformed.marker(f"is_outlier_{column}")
                changes[lost] = F.when(is_outlier, value.cast("string"))
                expected = f"a number from {low:.15g} to {high:.15g}, by the {how.method} of the batch"
                findings.append(unexpected(f"{column}_is_outlier", column, lost, expected, blocking=False))
        return conformed.changed(changes).found(*findings)

    def _bounds(self, conformed: Conformed) -> dict[str, tuple[float, float] | None]:
        """Bounds by column; the driver holds two numbers for each."""
        rows = conformed.frame.where(statistics.is_counted(conformed))
        wanted = [Figure(column, take) for column, how in self.root.items() for take in TAKES[how.method]]
        figures = _numbers(rows, wanted)
        centers = {column: figures[column][0] for column, how in self.root.items() if how.method == "mad"}
        if centers := {column: center for column, center in centers.items() if center is not None}:
            away = {column: F.abs(value_of(column).cast("double") - center) for column, center in centers.items()}
            distances = _numbers(rows.withColumns(away), [Figure(column, statistics.median) for column in centers])
            figures |= {column: [center, *distances[column]] for column, center in centers.items()}
        return {
            column: how.bounds(figures[column]) if len(figures[column]) == 2 else None
            for column, how in self.root.items()
        }


def _numbers(rows: DataFrame, wanted: Sequence[Figure]) -> dict[str, list[float | None]]:
    one = statistics.figures_of(rows, wanted)
    found = one.select(*(F.col(name).cast("double") for name in one.columns)).first()
    numbers: dict[str, list[float | None]] = {figure.column: [] for figure in wanted}
    for figure, number in zip(wanted, found or (), strict=True):
        numbers[figure.column].append(number)
    return numbers


def _inside(bound: float, is_low: bool, target: DataType) -> Column:
    """The last value of the column's type that is no outlier; NULL where the type ends before the bound."""
    text = repr(bound)
    if isinstance(target, IntegralType | DecimalType):
        last_digit = Decimal(1).scaleb(-target.scale if isinstance(target, DecimalType) else 0)
        rounding = ROUND_CEILING if is_low else ROUND_FLOOR
        text = f"{Decimal(text).quantize(last_digit, rounding, Context(prec=400)):f}"
    return F.expr(f"try_cast('{text}' AS {target.simpleString()})")
