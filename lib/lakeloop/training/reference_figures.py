"""Published figures of scikit-learn on data that anyone can make again, and what Spark's MLlib gives on the same rows.

The two libraries write one objective in two ways. scikit-learn minimises |w|² / 2 + C × (sum of losses), C being 1, and
MLlib (mean of losses) + regParam × |w|² / 2. They are the same for regParam = 1 / (C × rows), on features as they are
(`standardization=False`); neither penalises the intercept.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import MulticlassClassificationEvaluator
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

DECIMALS = 4
POSITIVE = 1.0
Metric = Literal["accuracy", "precisionByLabel", "recallByLabel", "fMeasureByLabel"]
METRICS: Mapping[str, Metric] = {
    "accuracy": "accuracy",
    "precision": "precisionByLabel",
    "recall": "recallByLabel",
    "F1": "fMeasureByLabel",
}
BINARY: Mapping[str, float] = {"accuracy": 0.83, "precision": 0.8667, "recall": 0.8198, "F1": 0.8426}
IMBALANCED = 0.929
SEED, FOLDS = 42, 5


@dataclass(frozen=True)
class Compared:
    """One figure: as published, as scikit-learn gives it here, and as MLlib does."""

    figure: str
    published: float | None
    scikit_learn: float
    mllib: float

    @property
    def holds(self) -> bool:
        """Whether MLlib's is the published one, or scikit-learn's where none is, to as many decimals as that has."""
        if self.published is None:
            return round(self.mllib, DECIMALS) == round(self.scikit_learn, DECIMALS)
        decimals = len(str(self.published).partition(".")[2])
        return round(self.mllib, decimals) == self.published


def classifier(rows: int) -> LogisticRegression:
    """MLlib's logistic regression as scikit-learn means it by default, unfitted, for so many rows."""
    return LogisticRegression(regParam=1 / rows, standardization=False, tol=1e-10, maxIter=1000)


def compare_binary(spark: SparkSession) -> list[Compared]:
    """Logistic regression on 1,000 rows of `make_classification`, the last figures on 200 that it did not see."""
    from sklearn import metrics
    from sklearn.datasets import make_classification
    from sklearn.linear_model import LogisticRegression as ScikitLogisticRegression
    from sklearn.model_selection import train_test_split

    x, y = make_classification(n_samples=1000, n_features=10, random_state=SEED)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state=SEED)
    said = ScikitLogisticRegression().fit(x_train, y_train).predict(x_test)
    theirs = {
        "accuracy": metrics.accuracy_score(y_test, said),
        "precision": metrics.precision_score(y_test, said),
        "recall": metrics.recall_score(y_test, said),
        "F1": metrics.f1_score(y_test, said),
    }
    scored = classifier(len(x_train)).fit(_rows(spark, x_train, y_train)).transform(_rows(spark, x_test, y_test))
    ours = {name: _evaluated(scored, metric) for name, metric in METRICS.items()}
    return [Compared(name, BINARY[name], float(theirs[name]), ours[name]) for name in METRICS]


def compare_imbalanced(spark: SparkSession) -> list[Compared]:
    """Accuracy of logistic regression, nine rows of ten in one class, per stratified fold and on average."""
    from sklearn.datasets import make_classification
    from sklearn.linear_model import LogisticRegression as ScikitLogisticRegression
    from sklearn.model_selection import StratifiedKFold

    x, y = make_classification(n_samples=1000, n_features=10, weights=[0.9, 0.1], random_state=SEED)
    found = []
    for number, (train, test) in enumerate(StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(x, y), 1):
        theirs = float(ScikitLogisticRegression().fit(x[train], y[train]).score(x[test], y[test]))
        model = classifier(len(train)).fit(_rows(spark, x[train], y[train]))
        ours = _evaluated(model.transform(_rows(spark, x[test], y[test])), "accuracy")
        found.append(Compared(f"accuracy, fold {number}", None, theirs, ours))
    mean = {side: float(np.mean([getattr(fold, side) for fold in found])) for side in ("scikit_learn", "mllib")}
    return [*found, Compared("accuracy, mean", IMBALANCED, **mean)]


def _rows(spark: SparkSession, x: NDArray[np.float64], y: NDArray[np.int64]) -> DataFrame:
    def values() -> Iterator[tuple[Any, ...]]:
        for features, label in zip(x.tolist(), y.tolist(), strict=True):
            yield features, float(label)

    frame = spark.createDataFrame(list(values()), "x array<double>, label double")
    return frame.select(array_to_vector(F.col("x")).alias("features"), "label").coalesce(1)


def _evaluated(scored: DataFrame, metric: Metric) -> float:
    return float(MulticlassClassificationEvaluator(metricName=metric, metricLabel=POSITIVE).evaluate(scored))
