"""How slots are brought to one scale; terms of documents, which are weighted, keep theirs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.ml import Estimator, Transformer
from pyspark.ml.feature import (
    ElementwiseProduct,
    MinMaxScaler,
    MinMaxScalerModel,
    RobustScaler,
    StandardScaler,
    StandardScalerModel,
    VectorSlicer,
)
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


class ScalerBesideTerms(Estimator[ElementwiseProduct], HasInputCol, HasOutputCol):
    """Scales all slots of a vector but those of `terms_cols`, the columns of terms that an assembler put into it.

    A term divided by its deviation would count the more, the rarer it is. Which slots these are is told by the names
    that the assembler gives to slots, and a slicer keeps. Its model is Spark's ElementwiseProduct, with 1 for a term,
    and sparse vectors stay sparse.
    """

    def __init__(self, scale: Scale, terms_cols: Sequence[str], input_col: str, output_col: str) -> None:
        super().__init__()
        self.scale, self.terms_cols = scale, tuple(f"{name}_" for name in terms_cols)
        self._set(inputCol=input_col, outputCol=output_col)

    def _fit(self, dataset: DataFrame) -> ElementwiseProduct:
        names = _slot_names(dataset, self.getInputCol())
        others = [slot for slot, name in enumerate(names) if not name.startswith(self.terms_cols)]
        scaling = np.ones(len(names))
        if others:
            slicer = VectorSlicer(inputCol=self.getInputCol(), outputCol="_others", indices=others)
            of_others: Any = scaler(self.scale, "_others", "_scaled")
            scaling[others] = factors(of_others.fit(slicer.transform(dataset)))
        return ElementwiseProduct(
            scalingVec=Vectors.dense(scaling), inputCol=self.getInputCol(), outputCol=self.getOutputCol()
        )


def factors(stage: Transformer) -> NDArray[np.float64] | None:
    """What a fitted scaler multiplies each slot by, 0 for one that never changes; None for another kind of stage."""
    if isinstance(stage, StandardScalerModel):
        return _inverse(stage.std.toArray())
    if isinstance(stage, MinMaxScalerModel):
        return _inverse(stage.originalMax.toArray() - stage.originalMin.toArray())
    if isinstance(stage, ElementwiseProduct):
        return np.asarray(stage.getScalingVec().toArray(), dtype=np.float64)
    return None


def _inverse(spread: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)


def _slot_names(dataset: DataFrame, vector_col: str) -> list[str]:
    """The names of the slots of an assembled vector, in their order."""
    by_kind = dataset.schema[vector_col].metadata["ml_attr"]["attrs"]
    slots = sorted((slot["idx"], slot["name"]) for kind in by_kind.values() for slot in kind)
    return [name for _, name in slots]


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
        return ElementwiseProduct(scalingVec=Vectors.dense(_inverse(spread)), **columns)
