"""The algorithms a model file may name, and the parameters of each that its grid may vary."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from pyspark.ml import Estimator
from pyspark.ml.classification import (
    DecisionTreeClassifier,
    GBTClassifier,
    LinearSVC,
    LogisticRegression,
    NaiveBayes,
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

from lakeloop.training.estimators.balanced import Balance, Balanced
from lakeloop.training.estimators.boosted_forests import BoostedForests
from lakeloop.training.estimators.log_label import Learn, LogLabelled
from lakeloop.training.estimators.sized_perceptron import SizedPerceptron
from lakeloop.training.estimators.xgboost import Xgboost
from lakeloop.training.metrics.names import Task

Space = Literal["features", "pca"]

LABEL_COL = "_label"
FOLD_COL = "_fold"
FEATURES_COL: dict[Space, str] = {"features": "features", "pca": "features_pca"}
CLASSIFIERS: dict[str, type[Any]] = {
    "logistic_regression": LogisticRegression,
    "linear_svm": LinearSVC,
    "naive_bayes": NaiveBayes,
    "multilayer_perceptron": SizedPerceptron,
    "decision_tree": DecisionTreeClassifier,
    "random_forest": RandomForestClassifier,
    "gradient_boosted_trees": GBTClassifier,
    "xgboost": Xgboost,
}
REGRESSORS: dict[str, type[Any]] = {
    "linear_regression": LinearRegression,
    "generalized_linear_regression": GeneralizedLinearRegression,
    "decision_tree": DecisionTreeRegressor,
    "random_forest": RandomForestRegressor,
    "gradient_boosted_trees": GBTRegressor,
    "boosted_forests": BoostedForests,
    "xgboost": Xgboost,
}
ALGORITHMS: dict[Task, Mapping[str, type[Any]]] = {"binary": CLASSIFIERS, "regression": REGRESSORS}
NAMES = tuple(dict.fromkeys([*CLASSIFIERS, *REGRESSORS]))
# Set before what a grid says: counts, which Spark's default wants, are not what scaled features are.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {"naive_bayes": {"modelType": "gaussian"}}
MARGIN_ONLY = frozenset({"linear_svm"})
# The seed comes from `folds`, and the metrics hold for the threshold 0.5.
_FIXED = ("seed", "threshold", "thresholds", "initialWeights")
_NOT_SCALAR = ("Col", "OnCoefficients", "OnIntercepts")


@dataclass(frozen=True)
class GridPoint:
    """One algorithm with one value per parameter, on the scaled features or on their principal components."""

    algorithm: str
    params: Mapping[str, Any]
    on: Space
    task: Task = "binary"
    balance: Balance | None = None
    learn: Learn | None = None

    def estimator(self, seed: int, key: str | None = None) -> Estimator[Any]:
        """The unfitted Spark estimator; `seed` goes to the algorithms that draw at random.

        A balanced one needs `key`, the column that identifies a row, which decides the rows that are repeated or left
        out.
        """
        made = ALGORITHMS[self.task][self.algorithm]
        columns = {"featuresCol": FEATURES_COL[self.on], "labelCol": LABEL_COL}
        settings = {**DEFAULTS.get(self.algorithm, {}), **self.params}
        if made is Xgboost:
            estimator = Xgboost.estimator(self.task, FEATURES_COL[self.on], LABEL_COL)
        elif made is SizedPerceptron:
            estimator = SizedPerceptron(settings.pop("hidden"), **columns)
        else:
            estimator = made(**columns)
        settings |= {name: seed for name in ("seed", "random_state") if estimator.hasParam(name)}
        for name, value in settings.items():
            estimator.set(estimator.getParam(name), value)
        if self.learn is not None:
            return LogLabelled(estimator)
        return estimator if self.balance is None else Balanced(estimator, self.balance, key, seed)

    def __str__(self) -> str:
        # What is learned stands first, so that it is seen where a long name is cut.
        named = {"learn": self.learn, **self.params} if self.learn else self.params
        params = ", ".join(f"{name}={value}" for name, value in named.items())
        balanced = f", balanced by {self.balance}" if self.balance else ""
        return f"{self.algorithm}({params})" + (" on pca" if self.on == "pca" else "") + balanced


def tunable(algorithm: str, task: Task) -> dict[str, Param[Any]]:
    """The parameters that a grid may vary, by Spark's names. Reads class attributes only, so it needs no JVM.

    A perceptron's `layers` are its `hidden` ones here: the first has a unit for each slot of the features, the last
    one for each class.
    """
    estimator = ALGORITHMS[task][algorithm]
    declared = {name: getattr(estimator, name) for name in dir(estimator)}
    found = {
        name: param
        for name, param in declared.items()
        if isinstance(param, Param) and name not in _FIXED and not name.endswith(_NOT_SCALAR)
    }
    return {"hidden" if name == "layers" else name: param for name, param in found.items()}


def takes_weights(algorithm: str, task: Task) -> bool:
    """Whether rows may count more or less than one at fitting."""
    return hasattr(ALGORITHMS[task][algorithm], "weightCol")


def combinations(grid: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    """Every combination of the grid's values, in the declared order; of an empty grid one of nothing."""
    for values in product(*grid.values()):
        yield dict(zip(grid, values, strict=True))
