"""A multilayer perceptron whose outer layers are as large as the data want them."""

from collections.abc import Sequence
from typing import Any

from pyspark.ml.classification import MultilayerPerceptronClassificationModel, MultilayerPerceptronClassifier
from pyspark.sql import DataFrame

CLASSES = 2


class SizedPerceptron(MultilayerPerceptronClassifier):
    """Spark's perceptron, told its `hidden` layers only: the first layer gets a unit per slot of the features.

    How many slots there are is known when it is fitted, and may differ between folds.
    """

    def __init__(self, hidden: Sequence[int], **columns: Any) -> None:
        super().__init__(**columns)
        self.hidden = tuple(hidden)

    def _fit(self, dataset: DataFrame) -> MultilayerPerceptronClassificationModel:
        first = dataset.select(self.getFeaturesCol()).first()
        slots = first[0].size if first is not None else 1
        sized = self.copy({self.layers: [slots, *self.hidden, CLASSES]})  # others fit this one at the same time
        return super(SizedPerceptron, sized)._fit(dataset)
