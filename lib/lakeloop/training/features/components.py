"""Principal components: a declared number of them, or as few as explain a share of the variance."""

from typing import Any

import numpy as np
from pyspark.ml import Estimator, PipelineModel
from pyspark.ml.feature import PCA, VectorSlicer
from pyspark.ml.param.shared import HasInputCol, HasOutputCol
from pyspark.sql import DataFrame

from lakeloop.training.spec.features import Pca


def components(pca: Pca, input_col: str, output_col: str) -> Estimator[Any]:
    """The unfitted stage."""
    if pca.components is not None:
        return PCA(k=pca.components, inputCol=input_col, outputCol=output_col)
    return ExplainingPca(float(pca.variance or 1), input_col, output_col)


class ExplainingPca(Estimator[PipelineModel], HasInputCol, HasOutputCol):
    """Keeps the fewest first components that explain a share of the variance, of the rows that it is fitted on.

    Fitted once with all components; its model is Spark's PCAModel of all of them and a VectorSlicer.
    """

    def __init__(self, variance: float, input_col: str, output_col: str) -> None:
        super().__init__()
        self.variance = variance
        self._set(inputCol=input_col, outputCol=output_col)

    def _fit(self, dataset: DataFrame) -> PipelineModel:
        every_col = f"{self.getOutputCol()}__all"
        slots = dataset.select(self.getInputCol()).head(1)[0][0].size
        fitted = PCA(k=slots, inputCol=self.getInputCol(), outputCol=every_col).fit(dataset)
        explained = np.cumsum(fitted.explainedVariance.toArray())
        # A share that rounding has put a hair below what was asked for is enough.
        kept = int(np.searchsorted(explained, self.variance - 1e-12)) + 1
        slicer = VectorSlicer(inputCol=every_col, outputCol=self.getOutputCol(), indices=list(range(min(kept, slots))))
        return PipelineModel([fitted, slicer])
