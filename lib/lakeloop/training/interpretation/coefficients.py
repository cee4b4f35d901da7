"""The coefficients of a linear model in units of the table, whatever scaling and components are between."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyspark.ml import PipelineModel, Transformer
from pyspark.ml.feature import ElementwiseProduct, MinMaxScalerModel, PCAModel, StandardScalerModel, VectorSlicer
from pyspark.ml.regression import GeneralizedLinearRegressionModel

from lakeloop.training.estimators.log_label import learner_of, learns_log
from lakeloop.training.features.serving import for_serving
from lakeloop.training.features.slots import slot_map
from lakeloop.training.interpretation.importance import LINEAR
from lakeloop.training.spec.model import ModelSpec


class Coefficient(NamedTuple):
    """A slot such as `tenure`, `plan=basic` or `tenure × charges`, and what one unit more of it adds to `effect_of`."""

    slot: str
    value: float


def coefficients(spec: ModelSpec, model: PipelineModel) -> tuple[Coefficient, ...]:
    """Those of a fitted pipeline with a linear model, the largest effect per scaled unit first; none for other models.

    Principal components are taken apart into what they are made of.
    """
    stages = list(for_serving(model).stages)
    linear = next((stage for stage in stages if isinstance(stage, LINEAR)), None)
    if linear is None:
        return ()
    weights, before = np.asarray(linear.coefficients.toArray(), dtype=np.float64), stages[: stages.index(linear)]
    components = next((stage for stage in before if isinstance(stage, PCAModel)), None)
    if components is not None:
        at, loadings = before.index(components), components.pc.toArray()
        weights, before = loadings[:, _kept(before[at + 1 :], loadings.shape[1])] @ weights, before[:at]
    names = slot_map(spec, PipelineModel(before)).names
    order = np.argsort(-np.abs(weights), kind="stable")
    values = weights * _factors(before, len(names))
    return tuple(Coefficient(names[slot], float(values[slot])) for slot in order)


def effect_of(spec: ModelSpec, model: PipelineModel) -> str:
    """What the coefficients of a fitted pipeline add to, for people: of a logarithm 0.01 is about a hundredth more."""
    stages = for_serving(model).stages
    if spec.task == "binary":
        return "the log odds"
    answer = "the logarithm of the answer" if learns_log(stages) else "the answer"
    learner = learner_of(stages)
    link = learner.getLink() if isinstance(learner, GeneralizedLinearRegressionModel) else "identity"
    return answer if link == "identity" else f"{answer} before its link, {link}"


def _kept(stages: Sequence[Transformer], components: int) -> NDArray[np.intp]:
    kept = np.arange(components)
    for stage in stages:
        if isinstance(stage, VectorSlicer):
            kept = kept[stage.getIndices()]
    return kept


def _factors(stages: Sequence[Transformer], slots: int) -> NDArray[np.float64]:
    """What a unit of each slot is multiplied by on its way to the model."""
    factors: NDArray[np.float64] | None = None
    for stage in stages:
        if isinstance(stage, StandardScalerModel):
            factors = _inverse(stage.std.toArray())
        elif isinstance(stage, MinMaxScalerModel):
            factors = _inverse(stage.originalMax.toArray() - stage.originalMin.toArray())
        elif isinstance(stage, ElementwiseProduct):
            factors = np.asarray(stage.getScalingVec().toArray(), dtype=np.float64)
        elif isinstance(stage, VectorSlicer) and factors is not None:
            factors = factors[stage.getIndices()]
    return np.ones(slots) if factors is None else factors


def _inverse(spread: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
