"""The algorithms a model file may name, and the parameters of each that its grid may vary."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from pyspark.ml.classification import (
    DecisionTreeClassifier,
    GBTClassifier,
    LogisticRegression,
    RandomForestClassifier,
)
from pyspark.ml.param import Param
from pyspark.ml.regression import (
    DecisionTreeRegressor,
    GBTRegressor,
    GeneralizedLinearRegression,
    LinearRegression,
    RandomForestRegressor,
)

from lakeloop.training.metrics.names import Task

Space = Literal["features", "pca"]
Classifier = LogisticRegression | DecisionTreeClassifier | RandomForestClassifier | GBTClassifier
Regressor = (
    LinearRegression | GeneralizedLinearRegression | DecisionTreeRegressor | RandomForestRegressor | GBTRegressor
)

LABEL_COL = "_label"
FOLD_COL = "_fold"
FEATURES_COL: dict[Space, str] = {"features": "features", "pca": "features_pca"}
CLASSIFIERS: dict[str, type[Classifier]] = {
    "logistic_regression": LogisticRegression,
    "decision_tree": DecisionTreeClassifier,
    "random_forest": RandomForestClassifier,
    "gradient_boosted_trees": GBTClassifier,
}
REGRESSORS: dict[str, type[Regressor]] = {
    "linear_regression": LinearRegression,
    "generalized_linear_regression": GeneralizedLinearRegression,
    "decision_tree": DecisionTreeRegressor,
    "random_forest": RandomForestRegressor,
    "gradient_boosted_trees": GBTRegressor,
}
ALGORITHMS: dict[Task, Mapping[str, type[Classifier | Regressor]]] = {"binary": CLASSIFIERS, "regression": REGRESSORS}
NAMES = tuple(dict.fromkeys([*CLASSIFIERS, *REGRESSORS]))
# The seed comes from `folds`, and the metrics hold for the threshold 0.5.
_FIXED = ("seed", "threshold", "thresholds")
_NOT_SCALAR = ("Col", "OnCoefficients", "OnIntercepts")


@dataclass(frozen=True)
class GridPoint:
    """One algorithm with one value per parameter, on the scaled features or on their principal components."""

    algorithm: str
    params: Mapping[str, Any]
    on: Space
    task: Task = "binary"

    def estimator(self, seed: int) -> Classifier | Regressor:
        """The unfitted Spark estimator; `seed` goes to the algorithms that draw at random."""
        estimator = ALGORITHMS[self.task][self.algorithm](featuresCol=FEATURES_COL[self.on], labelCol=LABEL_COL)
        settings = {**self.params, **({"seed": seed} if estimator.hasParam("seed") else {})}
        for name, value in settings.items():
            estimator.set(estimator.getParam(name), value)
        return estimator

    def __str__(self) -> str:
        params = ", ".join(f"{name}={value}" for name, value in self.params.items())
        return f"{self.algorithm}({params})" + (" on pca" if self.on == "pca" else "")


def tunable(algorithm: str, task: Task) -> dict[str, Param[Any]]:
    """The parameters that a grid may vary, by Spark's names. Reads class attributes only, so it needs no JVM."""
    estimator = ALGORITHMS[task][algorithm]
    declared = {name: getattr(estimator, name) for name in dir(estimator)}
    return {
        name: param
        for name, param in declared.items()
        if isinstance(param, Param) and name not in _FIXED and not name.endswith(_NOT_SCALAR)
    }


def grid_points(algorithm: str, grid: Mapping[str, tuple[Any, ...]], on: Space, task: Task) -> Iterator[GridPoint]:
    """Every combination of the grid's values, in the declared order; an empty grid is one point of Spark's defaults."""
    for values in product(*grid.values()):
        yield GridPoint(algorithm, dict(zip(grid, values, strict=True)), on, task)
