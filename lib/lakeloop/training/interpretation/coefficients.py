"""The coefficients of a linear model in units of the table, whatever scaling and components are between."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pyspark.ml import PipelineModel, Transformer
from pyspark.ml.feature import PCAModel, VectorSlicer
from pyspark.ml.regression import GeneralizedLinearRegressionModel
from pyspark.sql import DataFrame

from lakeloop.training.algorithms import FEATURES_COL
from lakeloop.training.estimators.log_label import learner_of, learns_log
from lakeloop.training.features.parts import terms_cols
from lakeloop.training.features.scaling import factors
from lakeloop.training.features.serving import for_serving
from lakeloop.training.features.slots import slot_map
from lakeloop.training.interpretation.importance import linear_weights, slot_deviations
from lakeloop.training.spec.model import ModelSpec


class Coefficient(NamedTuple):
    """A slot such as `tenure`, `plan=basic`, `tenure × charges` or `note = late`, and what one unit more of it adds.

    What it adds to is said by `effect_of`.
    """

    slot: str
    value: float


def coefficients(spec: ModelSpec, model: PipelineModel, rows: DataFrame | None = None) -> tuple[Coefficient, ...]:
    """Those of a fitted pipeline with a linear model, the largest effect per scaled unit first; none for other models.

    Principal components are taken apart into what they are made of. A unit of a term of a text is one of its weight,
    which is no scaled one: with `rows` of the table effects are those of one standard deviation, in one pass.
    """
    stages = list(for_serving(model).stages)
    linear = next((stage for stage in stages if linear_weights(stage) is not None), None)
    if linear is None or (weights := linear_weights(linear)) is None:
        return ()
    before = stages[: stages.index(linear)]
    components = next((stage for stage in before if isinstance(stage, PCAModel)), None)
    if components is not None:
        at, loadings = before.index(components), components.pc.toArray()
        weights, before = loadings[:, _kept(before[at + 1 :], loadings.shape[1])] @ weights, before[:at]
    names = slot_map(spec, PipelineModel(before)).names
    effects = np.abs(weights)
    if rows is not None and terms_cols(spec.features):
        effects = effects * slot_deviations(PipelineModel(before).transform(rows), FEATURES_COL["features"])
    order = np.argsort(-effects, kind="stable")
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
    found: NDArray[np.float64] | None = None
    for stage in stages:
        if (scaled := factors(stage)) is not None:
            found = scaled
        elif isinstance(stage, VectorSlicer) and found is not None:
            found = found[stage.getIndices()]
    return np.ones(slots) if found is None else found
