"""Spark's feature stages, taken over."""

from typing import Any

import numpy as np

from lakeloop.core.errors import ScorerError
from lakeloop.scoring.compiling.saved_pipeline import SavedStage, matrix, vector
from lakeloop.scoring.compiling.statements import made_columns
from lakeloop.scoring.stages.scalars import Binarize, Bucket, Expressions, Impute, Index, Isotonic
from lakeloop.scoring.stages.text import CountTerms, DropStopWords, Grams, MeanVector, Tokenize
from lakeloop.scoring.stages.vectors import Assemble, Choose, Normalize, OneHot, Project, Scale

JSON_NUMBERS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf"), "Inf": float("inf"),
                "-Inf": float("-inf")}  # fmt: skip


def number(value: Any) -> float:
    """A number of a parameter, which Spark writes as a text where JSON has none."""
    return JSON_NUMBERS[value] if isinstance(value, str) else float(value)


def sql_transformer(stage: SavedStage) -> Expressions:
    return Expressions(made_columns(stage.params["statement"]))


def imputer(stage: SavedStage) -> Impute:
    inputs, outputs = stage.columns("inputCol", "inputCols"), stage.columns("outputCol", "outputCols")
    fills = stage.learned()
    return Impute(inputs, outputs, [float(fills[name]) for name in inputs], number(stage.params["missingValue"]))


def string_indexer(stage: SavedStage) -> Index:
    if stage.params["handleInvalid"] == "skip":
        raise ScorerError(f"{stage} skips rows with an unseen category; a row must have an answer: keep them")
    inputs, outputs = stage.columns("inputCol", "inputCols"), stage.columns("outputCol", "outputCols")
    return Index(inputs, outputs, stage.learned()["labelsArray"], keeps=stage.params["handleInvalid"] == "keep")


def one_hot_encoder(stage: SavedStage) -> OneHot:
    inputs, outputs = stage.columns("inputCol", "inputCols"), stage.columns("outputCol", "outputCols")
    more = (stage.params["handleInvalid"] == "keep") - bool(stage.params["dropLast"])
    return OneHot(inputs, outputs, [size + more for size in stage.learned()["categorySizes"]])


def bucketizer(stage: SavedStage) -> Bucket:
    if stage.params["handleInvalid"] == "skip":
        raise ScorerError(f"{stage} skips rows with a missing number; a row must have an answer: keep them")
    inputs, outputs = stage.columns("inputCol", "inputCols"), stage.columns("outputCol", "outputCols")
    splits = stage.params.get("splitsArray") or [stage.params["splits"]]
    return Bucket(
        inputs, outputs, [[number(each) for each in row] for row in splits], stage.params["handleInvalid"] == "keep"
    )


def binarizer(stage: SavedStage) -> Binarize:
    inputs, outputs = stage.columns("inputCol", "inputCols"), stage.columns("outputCol", "outputCols")
    thresholds = stage.params.get("thresholds") or [stage.params["threshold"]] * len(inputs)
    return Binarize(inputs, outputs, [float(each) for each in thresholds])


def isotonic(stage: SavedStage) -> Isotonic:
    learned = stage.learned()
    boundaries, predictions = (np.array(learned[name], dtype=np.float64) for name in ("boundaries", "predictions"))
    return Isotonic(
        stage.params["featuresCol"],
        stage.params["predictionCol"],
        int(stage.params["featureIndex"]),
        boundaries,
        predictions,
    )


def assembler(stage: SavedStage) -> Assemble:
    return Assemble(list(stage.params["inputCols"]), stage.params["outputCol"])


def standard_scaler(stage: SavedStage) -> Scale:
    learned = stage.learned()
    mean, deviation = vector(learned["mean"]), vector(learned["std"])
    factors = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation != 0)
    return _scale(
        stage,
        mean if stage.params["withMean"] else np.zeros_like(mean),
        factors if stage.params["withStd"] else np.ones_like(factors),
    )


def min_max_scaler(stage: SavedStage) -> Scale:
    learned = stage.learned()
    low, high = vector(learned["originalMin"]), vector(learned["originalMax"])
    to_low, to_high = float(stage.params["min"]), float(stage.params["max"])
    span = high - low
    if to_low != 0 and (span == 0).any():
        raise ScorerError(f"{stage} has a constant slot and does not begin at 0, which has no counterpart")
    factors = np.divide(to_high - to_low, span, out=np.zeros_like(span), where=span != 0)
    # Spark puts constant slots in the middle.
    shifts = np.where(span == 0, low - 1.0, low)
    factors = np.where(span == 0, 0.5 * (to_high - to_low), factors)
    return _scale(stage, shifts, factors, to_low)


def max_abs_scaler(stage: SavedStage) -> Scale:
    most = vector(stage.learned()["maxAbs"])
    return _scale(stage, np.zeros_like(most), 1.0 / np.where(most == 0, 1.0, most))


def robust_scaler(stage: SavedStage) -> Scale:
    learned = stage.learned()
    spread, middle = vector(learned["range"]), vector(learned["median"])
    factors = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread != 0)
    return _scale(
        stage,
        middle if stage.params["withCentering"] else np.zeros_like(middle),
        factors if stage.params["withScaling"] else np.ones_like(factors),
    )


def elementwise_product(stage: SavedStage) -> Scale:
    factors = vector(stage.params["scalingVec"])
    return _scale(stage, np.zeros_like(factors), factors)


def idf(stage: SavedStage) -> Scale:
    factors = vector(stage.learned()["idf"])
    return _scale(stage, np.zeros_like(factors), factors)


def _scale(stage: SavedStage, shifts: Any, factors: Any, offset: float = 0.0) -> Scale:
    return Scale(stage.params["inputCol"], stage.params["outputCol"], shifts, factors, offset)


def slicer(stage: SavedStage) -> Choose:
    if stage.params.get("names"):
        raise ScorerError(f"{stage} chooses slots by name; choose them by index")
    return Choose(
        stage.params["inputCol"], stage.params["outputCol"], np.array(stage.params["indices"], dtype=np.int64)
    )


def selector(stage: SavedStage) -> Choose:
    kept = np.array(sorted(stage.learned()["selectedFeatures"]), dtype=np.int64)
    return Choose(stage.params["featuresCol"], stage.params["outputCol"], kept)


def pca(stage: SavedStage) -> Project:
    return Project(stage.params["inputCol"], stage.params["outputCol"], matrix(stage.learned()["pc"]))


def tokenizer(stage: SavedStage) -> Tokenize:
    return Tokenize(stage.params["inputCol"], stage.params["outputCol"], r"\s", gaps=True, least_length=0, lower=True)


def regex_tokenizer(stage: SavedStage) -> Tokenize:
    params = stage.params
    return Tokenize(
        params["inputCol"],
        params["outputCol"],
        params["pattern"],
        gaps=bool(params["gaps"]),
        least_length=int(params["minTokenLength"]),
        lower=bool(params["toLowercase"]),
    )


def stop_words_remover(stage: SavedStage) -> DropStopWords:
    words = list(stage.params["stopWords"])
    (source,), (target,) = stage.columns("inputCol", "inputCols"), stage.columns("outputCol", "outputCols")
    return DropStopWords(source, target, words, exact=bool(stage.params["caseSensitive"]))


def n_gram(stage: SavedStage) -> Grams:
    return Grams(stage.params["inputCol"], stage.params["outputCol"], int(stage.params["n"]))


def normalizer(stage: SavedStage) -> Normalize:
    return Normalize(stage.params["inputCol"], stage.params["outputCol"], number(stage.params["p"]))


def word2vec(stage: SavedStage) -> MeanVector:
    rows = sorted(stage.rows(), key=lambda row: row["word"])
    vectors = np.array([row["vector"] for row in rows], dtype=np.float64)
    return MeanVector(stage.params["inputCol"], stage.params["outputCol"], [row["word"] for row in rows], vectors)


def count_vectorizer(stage: SavedStage) -> CountTerms:
    return CountTerms(
        stage.params["inputCol"],
        stage.params["outputCol"],
        stage.learned()["vocabulary"],
        float(stage.params["minTF"]),
        bool(stage.params["binary"]),
    )


FEATURE = "org.apache.spark.ml.feature."
FEATURE_STAGES = {
    f"{FEATURE}{name}": taken
    for name, taken in {
        "SQLTransformer": sql_transformer, "ImputerModel": imputer, "StringIndexerModel": string_indexer,
        "OneHotEncoderModel": one_hot_encoder, "Bucketizer": bucketizer, "Binarizer": binarizer,
        "VectorAssembler": assembler, "StandardScalerModel": standard_scaler, "MinMaxScalerModel": min_max_scaler,
        "MaxAbsScalerModel": max_abs_scaler, "RobustScalerModel": robust_scaler,
        "ElementwiseProduct": elementwise_product, "IDFModel": idf, "VectorSlicer": slicer, "PCAModel": pca,
        "ChiSqSelectorModel": selector, "UnivariateFeatureSelectorModel": selector,
        "VarianceThresholdSelectorModel": selector, "Tokenizer": tokenizer, "RegexTokenizer": regex_tokenizer,
        "StopWordsRemover": stop_words_remover, "NGram": n_gram, "CountVectorizerModel": count_vectorizer,
        "Normalizer": normalizer, "Word2VecModel": word2vec,
    }.items()
}  # fmt: skip
