"""scikit-learn's simple models for a declared model, and their figures on the rows that it is measured on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import average_precision_score, r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from lakeloop.training.algorithms import FOLD_COL, LABEL_COL
from lakeloop.training.spec.model import ModelSpec

SEED, TREES, CORES = 7, 200, 2
METRICS = {"area_under_roc": roc_auc_score, "area_under_pr": average_precision_score, "r2": r2_score}


def rivals_of(spec: ModelSpec) -> Mapping[str, Any]:
    """Unfitted, by name: a linear model, a random forest and gradient boosting by histograms.

    Where a candidate may learn the logarithm of the label, so may each of these.
    """
    if spec.task == "regression":
        linear = ("ridge", RidgeCV(alphas=np.logspace(-1, 3, 9)))
        forest, boosting = RandomForestRegressor, HistGradientBoostingRegressor
    else:
        linear = ("logistic_regression", LogisticRegression(max_iter=2000))
        forest, boosting = RandomForestClassifier, HistGradientBoostingClassifier
    name, estimator = linear
    rivals = {
        name: make_pipeline(_prepared(spec), estimator),
        "random_forest": make_pipeline(
            _prepared(spec), forest(TREES, min_samples_leaf=2, max_features=1 / 3, random_state=SEED, n_jobs=CORES)
        ),
        "hist_gradient_boosting": boosting(categorical_features="from_dtype", random_state=SEED),
    }
    if any(candidate.learn == "log" for candidate in spec.candidates):
        rivals |= {
            f"{name}_of_log": TransformedTargetRegressor(rival, func=np.log, inverse_func=np.exp)
            for name, rival in rivals.items()
        }
    return rivals


def fold_scores(spec: ModelSpec, rival: Any, rows: pd.DataFrame) -> list[float]:
    """The metric on each fold, of the model fitted on the others; of the first repeat."""
    dealt = rows[f"{FOLD_COL}_0"]
    return [scores_of(spec, rival, rows[dealt != fold], rows[dealt == fold]) for fold in range(spec.folds.count)]


def scores_of(spec: ModelSpec, rival: Any, train: pd.DataFrame, test: pd.DataFrame) -> float:
    """The metric that the declaration selects by, on `test`."""
    known, asked = _typed(spec, train, test)
    with threadpool_limits(1):  # on so few rows the threads of a fit wait for each other longer than they work
        model = clone(rival).fit(known, train[LABEL_COL])
        said = model.predict(asked) if spec.task == "regression" else model.predict_proba(asked)[:, 1]
    return float(METRICS[spec.select_by](test[LABEL_COL], said))


def _prepared(spec: ModelSpec) -> Any:
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    categories = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_column_transformer(
        (numbers, list(spec.features.numeric)), (categories, list(spec.features.categorical))
    )


def _typed(spec: ModelSpec, *frames: pd.DataFrame) -> list[pd.DataFrame]:
    """The features, numbers as float and the others as categories that all frames share."""
    kinds: dict[str, Any] = dict.fromkeys(spec.features.numeric, "float64")
    texts = [frame[list(spec.features.categorical)].astype(str) for frame in frames]
    for name in spec.features.categorical:
        kinds[name] = pd.CategoricalDtype(sorted(set().union(*(text[name] for text in texts))))
    columns = list(spec.features.numeric)
    return [pd.concat([frame[columns], text], axis=1).astype(kinds) for frame, text in zip(frames, texts, strict=True)]
