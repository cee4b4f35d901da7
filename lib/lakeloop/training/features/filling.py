"""Stages that learn from the values that are there, and say which column has none."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from pyspark.ml.feature import Bucketizer, Imputer, ImputerModel, QuantileDiscretizer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.core.spark_failures import SPARK_FAILURES

T = TypeVar("T")


class NamingImputer(Imputer):
    """Spark's Imputer, which raises TrainingError with the names where a column has no value in the rows."""

    def _fit(self, dataset: DataFrame) -> ImputerModel:
        fitted: Callable[[DataFrame], ImputerModel] = super()._fit
        return _naming(fitted, dataset, self.getInputCols())


class NamingDiscretizer(QuantileDiscretizer):
    """Spark's QuantileDiscretizer, which raises TrainingError with the names where a column has no value in the rows.

    Its model is a Bucketizer. Quantiles that are equal leave fewer buckets.
    """

    def _fit(self, dataset: DataFrame) -> Bucketizer:
        fitted: Callable[[DataFrame], Bucketizer] = super()._fit
        return _naming(fitted, dataset, self.getInputCols())


def _naming(fit: Callable[[DataFrame], T], dataset: DataFrame, columns: Sequence[str]) -> T:
    try:
        return fit(dataset)
    except SPARK_FAILURES as failure:
        finite = [F.nanvl(F.col(f"`{column}`"), F.lit(None).cast("double")) for column in columns]
        counts = dataset.agg(*map(F.count, finite)).collect()[0]
        empty = [
            column.removesuffix("__number").removesuffix("__cut")
            for column, count in zip(columns, counts, strict=True)
            if not count
        ]
        if not empty:
            raise
        raise TrainingError(
            f"features without a single finite value in the rows of a fold that are learned from: {', '.join(empty)}; "
            "take them out of features, fill the table, or lower folds.count"
        ) from failure
