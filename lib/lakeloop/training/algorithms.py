"""The classifiers a model file may name, and the parameters of each that its grid may vary."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from pyspark.ml.classification import GBTClassifier, LogisticRegression, RandomForestClassifier
from pyspark.ml.param import Param

Space = Literal["features", "pca"]
Classifier = LogisticRegression | RandomForestClassifier | GBTClassifier

LABEL_COL = "_label"
FOLD_COL = "_fold"
FEATURES_COL: dict[Space, str] = {"features": "features", "pca": "features_pca"}
ALGORITHMS: dict[str, type[Classifier]] = {
    "logistic_regression": LogisticRegression,
    "random_forest": RandomForestClassifier,
    "gradient_boosted_trees": GBTClassifier,
}
# The seed comes from `folds`, and the metrics hold for the threshold 0.5.
_FIXED = ("seed", "threshold", "thresholds")
_NOT_SCALAR = ("Col", "OnCoefficients", "OnIntercepts")


@dataclass(frozen=True)
class GridPoint:
    """One algorithm with one value per parameter, on the scaled features or on their principal components."""

    algorithm: str
    params: Mapping[str, Any]
    on: Space

    def classifier(self, seed: int) -> Classifier:
        """The unfitted Spark estimator; `seed` goes to the algorithms that draw at random."""
        estimator = ALGORITHMS[self.algorithm](featuresCol=FEATURES_COL[self.on], labelCol=LABEL_COL)
        settings = {**self.params, **({"seed": seed} if estimator.hasParam("seed") else {})}
        for name, value in settings.items():
            estimator.set(estimator.getParam(name), value)
        return estimator

    def __str__(self) -> str:
        params = ", ".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.algorithm}({params})" + (" on pca" if self.on == "pca" else "")


def tunable(algorithm: str) -> dict[str, Param[Any]]:
    """The parameters that a grid may vary, by Spark's names. Reads class attributes only, so it needs no JVM."""
    declared = {name: getattr(ALGORITHMS[algorithm], name) for name in dir(ALGORITHMS[algorithm])}
    return {
        name: param
        for name, param in declared.items()
        if isinstance(param, Param) and name not in _FIXED and not name.endswith(_NOT_SCALAR)
    }


def grid_points(algorithm: str, grid: Mapping[str, tuple[Any, ...]], on: Space) -> Iterator[GridPoint]:
    """Every combination of the grid's values, in the declared order; an empty grid is one point of Spark's defaults."""
    for values in product(*grid.values()):
        yield GridPoint(algorithm, dict(zip(grid, values, strict=True)), on)
