"""How slots are brought to one scale."""

from typing import Any

import numpy as np
from pyspark.ml import Estimator, Transformer
from pyspark.ml.feature import ElementwiseProduct, MinMaxScaler, RobustScaler, StandardScaler
from pyspark.ml.linalg import Vectors
from pyspark.ml.param.shared import HasInputCol, HasOutputCol
from pyspark.sql import DataFrame

from lakeloop.training.spec.features import Scale


def scaler(scale: Scale, input_col: str, output_col: str) -> Estimator[Any] | Transformer:
    """The unfitted stage. `min_max` makes vectors dense; the other ones keep zeros."""
    if scale == "standard":
        return StandardScaler(inputCol=input_col, outputCol=output_col, withMean=False, withStd=True)
    if scale == "min_max":
        return MinMaxScaler(inputCol=input_col, outputCol=output_col)
    return SpreadScaler(input_col, output_col)


class SpreadScaler(Estimator[ElementwiseProduct], HasInputCol, HasOutputCol):
    """Divides each slot by its interquartile range, which outliers do not move, and does not centre it.

    Where that is 0, as in a rare category or a number that is mostly 0, by the sample deviation: Spark's RobustScaler
    would make the slot 0. A constant slot becomes 0. Its model is Spark's ElementwiseProduct.
    """

    def __init__(self, input_col: str, output_col: str) -> None:
        super().__init__()
        self._set(inputCol=input_col, outputCol=output_col)

    def _fit(self, dataset: DataFrame) -> ElementwiseProduct:
        columns: dict[str, Any] = {"inputCol": self.getInputCol(), "outputCol": self.getOutputCol()}
        spread = RobustScaler(**columns).fit(dataset).range.toArray()
        if not spread.all():
            deviation = StandardScaler(**columns).fit(dataset).std.toArray()
            spread = np.where(spread == 0, deviation, spread)
        factors = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
        return ElementwiseProduct(scalingVec=Vectors.dense(factors), **columns)
