"""Spark's fitted models, taken over."""

import sys
from collections import defaultdict
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakeloop.core.errors import ScorerError
from lakeloop.scoring.compiling.feature_stages import isotonic
from lakeloop.scoring.compiling.saved_pipeline import SavedStage, matrix, vector
from lakeloop.scoring.stages.linear import INVERSE_LINKS, BinaryLinear, LinearNumber, SoftmaxLinear
from lakeloop.scoring.stages.other_models import Factors, NaiveBayes, Perceptron
from lakeloop.scoring.stages.trees import BoostedClassifier, ForestClassifier, Trees, TreesNumber

MOST = sys.float_info.max
# The link of a family where none is set, and the least and largest mean that Spark gives.
FAMILIES: dict[str, tuple[str, float, float]] = {
    "gaussian": ("identity", -MOST, MOST),
    "binomial": ("logit", 1e-16, 1 - 1e-16),
    "poisson": ("log", 1e-16, MOST),
    "gamma": ("inverse", 1e-16, MOST),
}


def _names(stage: SavedStage) -> dict[str, str]:
    params = stage.params
    return {
        "features": params["featuresCol"],
        "raw": params.get("rawPredictionCol", ""),
        "probability": params.get("probabilityCol", ""),
        "prediction": params["predictionCol"],
    }


def _default_threshold_only(stage: SavedStage) -> None:
    if stage.params.get("thresholds"):
        raise ScorerError(f"{stage} has thresholds of its own, which have no counterpart; put them into a Binarizer")


def logistic_regression(stage: SavedStage) -> BinaryLinear | SoftmaxLinear:
    learned = stage.learned()
    coefficients, intercepts = matrix(learned["coefficientMatrix"]), vector(learned["interceptVector"])
    _default_threshold_only(stage)
    if learned["isMultinomial"]:
        if learned["numClasses"] == 2 and float(stage.params["threshold"]) != 0.5:
            raise ScorerError(
                f"{stage} is multinomial with a threshold, which has no counterpart; put it in a Binarizer"
            )
        return SoftmaxLinear(**_names(stage), coefficients=coefficients, intercepts=intercepts)
    share = float(stage.params["threshold"])
    threshold = -np.inf if share <= 0 else np.inf if share >= 1 else log(share / (1 - share))
    return BinaryLinear(
        **_names(stage), coefficients=coefficients[0], intercept=float(intercepts[0]), threshold=float(threshold)
    )


def linear_svm(stage: SavedStage) -> BinaryLinear:
    learned = stage.learned()
    return BinaryLinear(
        **_names(stage),
        coefficients=vector(learned["coefficients"]),
        intercept=float(learned["intercept"]),
        threshold=float(stage.params["threshold"]),
    )


def linear_regression(stage: SavedStage) -> LinearNumber:
    learned = stage.learned()
    return LinearNumber(
        stage.params["featuresCol"],
        stage.params["predictionCol"],
        vector(learned["coefficients"]),
        float(learned["intercept"]),
    )


def generalized_linear(stage: SavedStage) -> LinearNumber:
    learned, params = stage.learned(), stage.params
    if params["family"] not in FAMILIES:
        raise ScorerError(f"{stage}: family {params['family']} has no counterpart; known: {', '.join(FAMILIES)}")
    natural, low, high = FAMILIES[params["family"]]
    link = params.get("link") or natural
    if link not in INVERSE_LINKS:
        raise ScorerError(f"{stage}: link {link} has no counterpart; known: {', '.join(INVERSE_LINKS)}")
    return LinearNumber(
        params["featuresCol"],
        params["predictionCol"],
        vector(learned["coefficients"]),
        float(learned["intercept"]),
        link,
        low,
        high,
    )


def naive_bayes(stage: SavedStage) -> NaiveBayes:
    _default_threshold_only(stage)
    learned = stage.learned()
    sigma = matrix(learned["sigma"]) if learned.get("sigma") else np.zeros((0, 0))
    return NaiveBayes(
        **_names(stage),
        kind=stage.params["modelType"],
        pi=vector(learned["pi"]),
        theta=matrix(learned["theta"]),
        sigma=sigma,
    )


def perceptron(stage: SavedStage) -> Perceptron:
    _default_threshold_only(stage)
    layers = [int(units) for units in stage.params["layers"]]
    return Perceptron(**_names(stage), layers=layers, weights=vector(stage.learned()["weights"]))


def als(stage: SavedStage) -> Factors:
    if stage.params["coldStartStrategy"] == "drop":
        raise ScorerError(f"{stage} drops rows of unknown users and items; a row must have an answer: nan")
    sides = {}
    for part in ("userFactors", "itemFactors"):
        rows = sorted(stage.rows(part), key=lambda row: row["id"])
        ids = np.array([row["id"] for row in rows], dtype=np.int64)
        sides[part] = ids, np.array([row["features"] for row in rows], dtype=np.float32)
    (users, user_factors), (items, item_factors) = sides["userFactors"], sides["itemFactors"]
    params = stage.params
    return Factors(
        params["userCol"], params["itemCol"], params["predictionCol"], users, items, user_factors, item_factors
    )


def tree_classifier(stage: SavedStage) -> ForestClassifier:
    _default_threshold_only(stage)
    return ForestClassifier(**_names(stage), trees=_trees(stage, _counts))


def forest_classifier(stage: SavedStage) -> ForestClassifier:
    _default_threshold_only(stage)
    return ForestClassifier(**_names(stage), trees=_trees(stage, _shares))


def boosted_classifier(stage: SavedStage) -> BoostedClassifier:
    _default_threshold_only(stage)
    return BoostedClassifier(**_names(stage), trees=_trees(stage, _prediction, weights=_tree_weights(stage)))


def tree_regressor(stage: SavedStage) -> TreesNumber:
    return TreesNumber(stage.params["featuresCol"], stage.params["predictionCol"], _trees(stage, _prediction), 1)


def forest_regressor(stage: SavedStage) -> TreesNumber:
    trees = _trees(stage, _prediction)
    return TreesNumber(stage.params["featuresCol"], stage.params["predictionCol"], trees, len(trees.roots))


def boosted_regressor(stage: SavedStage) -> TreesNumber:
    trees = _trees(stage, _prediction, weights=_tree_weights(stage))
    return TreesNumber(stage.params["featuresCol"], stage.params["predictionCol"], trees, 1)


def _prediction(node: dict[str, Any]) -> list[float]:
    return [node["prediction"]]


def _counts(node: dict[str, Any]) -> list[float]:
    return list(node["impurityStats"])


def _shares(node: dict[str, Any]) -> list[float]:
    total = sum(node["impurityStats"])
    return [count / total if total else 0.0 for count in node["impurityStats"]]


def _tree_weights(stage: SavedStage) -> list[float]:
    rows = sorted(stage.rows("treesMetadata"), key=lambda row: row["treeID"])
    return [float(row["weights"]) for row in rows]


def _trees(stage: SavedStage, value_of: Any, weights: list[float] | None = None) -> Trees:
    """The nodes that Spark keeps by tree and number, each with those of its children, in one list."""
    by_tree: dict[int, dict[int, dict[str, Any]]] = defaultdict(dict)
    for row in stage.rows():
        node = row.get("nodeData", row)
        by_tree[row.get("treeID", 0)][node["id"]] = node
    nodes: list[tuple[int, dict[str, Any]]] = []
    roots: list[int] = []
    categories: list[NDArray[np.bool_]] = []
    for tree in sorted(by_tree):
        roots.append(len(nodes))
        numbers = sorted(by_tree[tree])
        if numbers != list(range(len(numbers))):
            raise ScorerError(f"{stage}: tree {tree} lacks nodes; save the model again")
        nodes += [(roots[-1], by_tree[tree][number]) for number in numbers]
    slots, thresholds = np.full(len(nodes), -1, dtype=np.int64), np.zeros(len(nodes))
    lefts = np.arange(len(nodes), dtype=np.int64)
    rights, sets = lefts.copy(), np.full(len(nodes), -1, dtype=np.int64)
    for at, (start, node) in enumerate(nodes):
        if node["leftChild"] < 0:
            continue
        split = node["split"]
        slots[at], lefts[at], rights[at] = split["featureIndex"], start + node["leftChild"], start + node["rightChild"]
        if split["numCategories"] < 0:
            thresholds[at] = split["leftCategoriesOrThreshold"][0]
        else:
            sets[at] = len(categories)
            goes_left = np.zeros(split["numCategories"], dtype=np.bool_)
            goes_left[np.array(split["leftCategoriesOrThreshold"], dtype=np.intp)] = True
            categories.append(goes_left)
    return Trees(
        slots,
        thresholds,
        lefts,
        rights,
        sets,
        _padded(categories),
        np.array([value_of(node) for _, node in nodes], dtype=np.float64),
        np.array(roots, dtype=np.int64),
        np.ones(len(roots)) if weights is None else np.array(weights),
    )


def _padded(sets: list[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    padded = np.zeros((len(sets), max(map(len, sets), default=0)), dtype=np.bool_)
    for row, goes_left in zip(padded, sets, strict=True):
        row[: len(goes_left)] = goes_left
    return padded


ML = "org.apache.spark.ml."
MODEL_STAGES = {
    f"{ML}{name}": taken
    for name, taken in {
        "classification.LogisticRegressionModel": logistic_regression,
        "classification.LinearSVCModel": linear_svm,
        "classification.NaiveBayesModel": naive_bayes,
        "classification.MultilayerPerceptronClassificationModel": perceptron,
        "classification.DecisionTreeClassificationModel": tree_classifier,
        "classification.RandomForestClassificationModel": forest_classifier,
        "classification.GBTClassificationModel": boosted_classifier,
        "regression.LinearRegressionModel": linear_regression,
        "regression.GeneralizedLinearRegressionModel": generalized_linear,
        "regression.DecisionTreeRegressionModel": tree_regressor,
        "regression.RandomForestRegressionModel": forest_regressor,
        "regression.GBTRegressionModel": boosted_regressor,
        "regression.IsotonicRegressionModel": isotonic,
        "recommendation.ALSModel": als,
    }.items()
}
