"""Pipelines that Spark fits, and what is made of them, on rows made to part the two."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import (
    DCT,
    IDF,
    ChiSqSelector,
    CountVectorizer,
    MaxAbsScaler,
    NGram,
    Normalizer,
    RegexTokenizer,
    RobustScaler,
    SQLTransformer,
    StandardScaler,
    StopWordsRemover,
    UnivariateFeatureSelector,
    VarianceThresholdSelector,
    VectorAssembler,
    Word2Vec,
)
from pyspark.ml.functions import vector_to_array
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame, SparkSession

from lakeloop.core.errors import ScorerError
from lakeloop.registry.parity import Parity, check_parity
from lakeloop.scoring.archive import read_archive, write_archive
from lakeloop.scoring.compiling.compiler import compile_pipeline
from lakeloop.scoring.scorer import Scorer
from lakeloop.training.algorithms import GridPoint
from lakeloop.training.decision.calibrating import fit_calibration
from lakeloop.training.decision.rule import DecisionRule, decided
from lakeloop.training.features.serving import for_serving
from lakeloop.training.features.stages import feature_stages
from lakeloop.training.metrics.binary import measure
from lakeloop.training.metrics.score_table import CELLS, ScoreTable
from lakeloop.training.spec.model import ModelSpec

SCHEMA = (
    "id int, age double, visits bigint, plan string, member boolean, city string, since date, seen timestamp, part int"
)
FEATURES: dict[str, Any] = {
    "numeric": ["age", "visits", "member"],
    "categorical": ["plan", "city", "part"],
    "dates": {"since": ["year", "month", "day_of_week"], "seen": ["hour"]},
    "impute": "median",
}


def declared(task: str = "binary", **features: Any) -> ModelSpec:
    regression = {"column": "paid", "task": "regression"}
    return ModelSpec.model_validate({
        "model": "tried", "description": "d", "owner": "o", "table": "gold.people", "key": "id",
        "label": {"column": "left", "positive": True} if task == "binary" else regression,
        "split": {"test": 0.25, "seed": 1}, "folds": {"count": 2, "seed": 1},
        "features": FEATURES | features, "candidates": [{"decision_tree": {}}], "scores": "gold.scores",
    })  # fmt: skip


@pytest.fixture(scope="module")
def people(spark: SparkSession) -> DataFrame:
    """300 people with NULLs in every column and a duplicate; who is older leaves more often and pays more."""
    draw = np.random.default_rng(3)

    def or_null(value: Any) -> Any:
        return None if draw.random() < 0.1 else value

    rows = []
    for number in range(300):
        age = float(np.round(draw.normal(40, 12), 1))
        plan = ("basic", "plus", "")[draw.integers(3)]
        left = float(draw.random() < 1 / (1 + np.exp(-(age - 45) / 6)))
        rows.append((
            number, or_null(age), or_null(int(draw.integers(0, 30))), or_null(plan), or_null(bool(draw.integers(2))),
            or_null(("Rome", "Oslo", "Kyiv", "Bern")[draw.integers(4)]),
            or_null(date(2020 + int(draw.integers(5)), int(draw.integers(1, 13)), 5)),
            or_null(datetime(2024, 1, 1, int(draw.integers(24)), 30, tzinfo=UTC)), int(draw.integers(3)),
            left, float(age * 10 + (50 if plan == "plus" else 0) + draw.normal()),
        ))  # fmt: skip
    return spark.createDataFrame([*rows, rows[-1]], f"{SCHEMA}, _label double, paid double").coalesce(1).cache()


def fitted(people: DataFrame, spec: ModelSpec, algorithm: str, params: dict[str, Any], on: Any = "features") -> Any:
    point = GridPoint(algorithm, params, on, spec.task)
    rows = people if spec.task == "binary" else people.withColumn("_label", people["paid"])
    for fold in ("_fold_0",):
        rows = rows.withColumn(fold, rows["id"] % 2)
    pipeline = Pipeline(stages=[*feature_stages(spec, rows.schema, on), point.estimator(1, "id")])
    return for_serving(pipeline.fit(rows))


def compiled(model: PipelineModel, spec: ModelSpec, people: DataFrame, folder: Path) -> Scorer:
    model.write().overwrite().save(str(folder / "model"))
    kinds = {name: people.schema[name].dataType.simpleString() for name in spec.features.columns}
    scorer = compile_pipeline(folder / "model", kinds, spec.task)
    archive = folder / "scorer.zip"
    archive.unlink(missing_ok=True)
    write_archive(scorer, archive)
    return read_archive(archive)


def parity(model: PipelineModel, spec: ModelSpec, people: DataFrame, folder: Path) -> Parity:
    scorer = compiled(model, spec, people, folder)
    sample = [row.asDict() for row in people.select(*spec.features.columns).limit(60).collect()]
    return check_parity(model, scorer, people.schema, sample)


CLASSIFIERS = [
    ("logistic_regression", {"regParam": 0.01}, {}),
    ("logistic_regression", {"regParam": 0.01, "elasticNetParam": 1.0}, {"scale": "min_max"}),
    ("linear_svm", {"regParam": 0.1}, {"scale": "robust"}),
    ("naive_bayes", {}, {}),
    ("multilayer_perceptron", {"hidden": [4]}, {}),
    ("decision_tree", {"maxDepth": 5}, {"scale": "none"}),
    ("random_forest", {"numTrees": 9, "maxDepth": 6}, {"encode": {"city": "target", "plan": "frequency"}}),
    ("gradient_boosted_trees", {"maxIter": 8, "maxDepth": 3}, {"interactions": [["age", "visits"]], "scale": "none"}),
    ("random_forest", {"numTrees": 5}, {"buckets": {"age": [18, 30, 65], "visits": 4}}),
    ("gradient_boosted_trees", {"maxIter": 5}, {"select": [{"correlation": 0.95}, {"univariate": 8}]}),
]


@pytest.mark.parametrize(("algorithm", "params", "features"), CLASSIFIERS)
def test_scorer_of_classes_says_what_spark_says(
    people: DataFrame, tmp_path: Path, algorithm: str, params: dict[str, Any], features: dict[str, Any]
) -> None:
    spec = declared(**features)
    model = fitted(people, spec, algorithm, params)
    if algorithm == "linear_svm":
        scorer = compiled(model, spec, people, tmp_path)
        rows = [row.asDict() for row in people.collect()]
        said = [row["prediction"] for row in model.transform(people).collect()]
        assert [scorer.score(row)[0] for row in rows] == said
        return
    found = parity(model, spec, people, tmp_path)
    assert found.holds, found
    assert found.rows > 100


REGRESSORS = [
    ("linear_regression", {"regParam": 0.1}, {"scale": "robust"}),
    ("generalized_linear_regression", {"family": "gamma", "link": "log", "regParam": 0.01}, {}),
    ("decision_tree", {"maxDepth": 4}, {"scale": "none"}),
    ("random_forest", {"numTrees": 7, "maxDepth": 6}, {}),
    (
        "gradient_boosted_trees",
        {"maxIter": 6, "maxDepth": 3},
        {"age_at": date(2025, 1, 1), "dates": {"since": ["age_days"]}},
    ),
]


@pytest.mark.parametrize(("algorithm", "params", "features"), REGRESSORS)
def test_scorer_of_numbers_says_what_spark_says(
    people: DataFrame, tmp_path: Path, algorithm: str, params: dict[str, Any], features: dict[str, Any]
) -> None:
    spec = declared("regression", **features)
    found = parity(fitted(people, spec, algorithm, params), spec, people, tmp_path)
    assert found.holds, found


@pytest.mark.parametrize("algorithm", ["logistic_regression", "random_forest"])
def test_components_are_projected_or_multiplied_out(people: DataFrame, tmp_path: Path, algorithm: str) -> None:
    spec = declared(pca={"variance": 0.9})
    found = parity(fitted(people, spec, algorithm, {}, "pca"), spec, people, tmp_path)
    assert found.holds, found


@pytest.mark.parametrize("calibrate", ["isotonic", "platt"])
@pytest.mark.parametrize("algorithm", ["linear_svm", "random_forest"])
def test_decisions_are_taken_over(people: DataFrame, tmp_path: Path, algorithm: str, calibrate: str) -> None:
    spec = declared()
    model = fitted(people, spec, algorithm, {})
    given = "margin" if algorithm == "linear_svm" else "probability"
    draw = np.random.default_rng(1)
    table = ScoreTable(*(np.bincount(draw.integers(0, CELLS, 200), minlength=CELLS + 1) for _ in range(2)))
    curve = fit_calibration(people.sparkSession, table, calibrate, given)  # type: ignore[arg-type]
    metrics = measure(table, resamples=0)
    rule = DecisionRule(given, curve, 0.37, metrics, metrics)  # type: ignore[arg-type]
    found = parity(decided(model, rule, people.sparkSession), spec, people, tmp_path)
    assert found.holds, found


def test_recommendations_are_products_of_factors(spark: SparkSession, tmp_path: Path) -> None:
    ratings = [(user, item, float((user * item) % 5)) for user in range(6) for item in range(5) if (user + item) % 3]
    frame = spark.createDataFrame([*ratings, ratings[0]], "user int, item int, rating double").coalesce(1)
    model = Pipeline(
        stages=[
            ALS(
                rank=3,
                maxIter=2,
                numUserBlocks=1,
                numItemBlocks=1,
                userCol="user",
                itemCol="item",
                ratingCol="rating",
                seed=1,
            )
        ]
    ).fit(frame)
    model.save(str(tmp_path / "model"))
    scorer = compile_pipeline(tmp_path / "model", {"user": "int", "item": "int"}, "regression")
    asked = spark.createDataFrame([(0, 1), (5, 4), (99, 1), (2, 99)], "user int, item int")
    wanted = [row["prediction"] for row in model.transform(asked).orderBy("user", "item").collect()]
    rows = [row.asDict() for row in asked.orderBy("user", "item").collect()]
    assert scorer.score_many(rows).predictions == pytest.approx(wanted, abs=1e-6, nan_ok=True)  # 32-bit floats
    assert [scorer.score(row)[0] for row in rows] == pytest.approx(wanted, abs=1e-6, nan_ok=True)
    assert sum(np.isnan(wanted)) == 2


@pytest.mark.parametrize(
    ("pattern", "gaps"),
    [(r"[^\p{L}\p{N}]+", True), (r"[\p{L}\p{M}\p{N}]+(?:['’][\p{L}\p{N}]+)*", False), (r"\s", True)],
)
def test_text_is_counted_as_spark_counts(spark: SparkSession, tmp_path: Path, pattern: str, gaps: bool) -> None:
    texts = ["Good, good COFFEE!", "bad coffee", "the tea; the the tea", "", "  ", "Straße ÉTÉ été", "bad bad tea"]
    rows = [(text, float(number % 2)) for number, text in enumerate([*texts, *texts])]
    frame = spark.createDataFrame([*rows, rows[0]], "text string, label double").coalesce(1)
    model = Pipeline(stages=[
        SQLTransformer(statement="SELECT *, coalesce(text, '') AS filled FROM __THIS__"),
        RegexTokenizer(inputCol="filled", outputCol="tokens", pattern=pattern, gaps=gaps),
        StopWordsRemover(inputCol="tokens", outputCol="kept", stopWords=["the", "THE"]),
        NGram(inputCol="kept", outputCol="pairs", n=2),
        CountVectorizer(inputCol="kept", outputCol="counts"),
        CountVectorizer(inputCol="pairs", outputCol="pair_counts", binary=True),
        IDF(inputCol="counts", outputCol="weights"),
        Normalizer(inputCol="weights", outputCol="lengths"),
        Word2Vec(inputCol="kept", outputCol="means", vectorSize=3, minCount=1, seed=1),
        VectorAssembler(inputCols=["lengths", "pair_counts", "means"], outputCol="features"),
        LogisticRegression(regParam=0.1),
    ]).fit(frame)  # fmt: skip
    model.save(str(tmp_path / "model"))
    scorer = compile_pipeline(tmp_path / "model", {"text": "string"}, "binary")
    asked = [
        *texts,
        "unseen words only",
        "The TEA, the (coffee)",
        "été  ÉTÉ",
        "good\tgood\ngood coffee",
        "İstanbul tea",
        "don't l’été tea",
    ]
    found = check_parity(
        model, scorer, spark.createDataFrame([("",)], "text string").schema, [{"text": t} for t in asked]
    )
    wanted = model.transform(spark.createDataFrame([(text,) for text in asked], "text string")).collect()
    assert [scorer.score({"text": text})[1] for text in asked] == pytest.approx(
        [row["probability"][1] for row in wanted], abs=1e-12
    )
    assert found.holds, found


def test_scalers_and_selectors_of_spark_are_taken_over(people: DataFrame, tmp_path: Path) -> None:
    """Those that Lakeloop's own features do not use, before a regression of three classes."""
    source: dict[str, Any] = {"inputCol": "slots"}
    scalers = [
        MaxAbsScaler(outputCol="a", **source),
        RobustScaler(outputCol="b", withCentering=True, **source),
        StandardScaler(outputCol="c", withMean=True, **source),
    ]
    chosen: dict[str, Any] = {"featuresCol": "slots", "labelCol": "part"}
    selectors = [
        VarianceThresholdSelector(featuresCol="slots", outputCol="d", varianceThreshold=1.0),
        ChiSqSelector(numTopFeatures=1, outputCol="e", **chosen),
        UnivariateFeatureSelector(outputCol="f", **chosen).setFeatureType("continuous").setLabelType("categorical"),
    ]
    selectors[2].setSelectionThreshold(1)
    rows = people.select("age", "visits", "part").na.drop()
    model = Pipeline(stages=[
        VectorAssembler(inputCols=["age", "visits"], outputCol="slots"), *scalers, *selectors,
        VectorAssembler(inputCols=list("abcdef"), outputCol="features"),
        LogisticRegression(labelCol="part", regParam=0.01),
    ]).fit(rows)  # fmt: skip
    model.save(str(tmp_path / "model"))
    scorer = compile_pipeline(tmp_path / "model", {"age": "double", "visits": "bigint"}, "multiclass")
    found = (
        model.transform(rows).select("age", "visits", "prediction", vector_to_array("probability").alias("p")).collect()
    )
    given = [row.asDict() for row in found]
    wanted = np.array([row["p"] for row in found])
    assert np.abs(scorer.score_many(given).probabilities - wanted).max() < 1e-12
    answers = [scorer.score(row) for row in given]
    assert [label for label, _ in answers] == [row["prediction"] for row in found]
    assert np.abs(np.array([of_classes for _, of_classes in answers]) - wanted).max() < 1e-12


def test_stages_without_counterpart_are_named(spark: SparkSession, people: DataFrame, tmp_path: Path) -> None:
    rows = people.select("age", "_label").na.fill(1.0)
    stages = [
        VectorAssembler(inputCols=["age"], outputCol="a"),
        DCT(inputCol="a", outputCol="features"),
        LogisticRegression(labelCol="_label"),
    ]
    Pipeline(stages=stages).fit(rows).save(str(tmp_path / "model"))
    with pytest.raises(ScorerError, match=r"without a counterpart outside Spark: DCT \(1_DCT_"):
        compile_pipeline(tmp_path / "model", {"age": "double"}, "binary")
    with pytest.raises(ScorerError, match=r"no PipelineModel as Spark saves it|no metadata"):
        compile_pipeline(tmp_path / "nothing", {"age": "double"}, "binary")


def test_a_scorer_that_is_wrong_is_found_out(people: DataFrame, tmp_path: Path) -> None:
    spec = declared(scale="none")
    model = fitted(people, spec, "decision_tree", {"maxDepth": 3})
    scorer = compiled(model, spec, people, tmp_path)
    trees = scorer.stages[-1].trees  # type: ignore[attr-defined]
    first = int(np.flatnonzero(trees.slots == 0)[0])
    trees.thresholds[first] = np.nextafter(trees.thresholds[first], -np.inf)
    found = check_parity(model, scorer, people.schema, [people.select(*spec.features.columns).first().asDict()])
    assert not found.holds
    assert "Spark says" in found.examples[0]


PARTS = {
    "scale": st.sampled_from(["standard", "min_max", "robust", "none"]),
    "impute": st.sampled_from(["median", "mean", "mode"]),
    "encode": st.sampled_from([{}, {"city": "target"}, {"plan": "frequency", "city": "target"}]),
    "buckets": st.sampled_from([{}, {"age": 3}, {"age": [20, 40]}]),
    "interactions": st.sampled_from([[], [["age", "visits"]]]),
    "select": st.sampled_from([[], [{"variance": 0.01}], [{"correlation": 0.9}, {"univariate": 5}]]),
    "pca": st.sampled_from([None, {"components": 3}]),
}
LEARNED = st.sampled_from([
    ("logistic_regression", {"regParam": 0.1}), ("decision_tree", {}), ("random_forest", {"numTrees": 3}),
    ("gradient_boosted_trees", {"maxIter": 2}), ("naive_bayes", {}),
])  # fmt: skip


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(features=st.fixed_dictionaries(PARTS), learned=LEARNED)
def test_pipelines_by_chance_say_what_spark_says(
    people: DataFrame, tmp_path: Path, features: dict[str, Any], learned: tuple[str, dict[str, Any]]
) -> None:
    spec = declared(**features)
    model = fitted(people, spec, *learned, "pca" if features["pca"] else "features")
    found = parity(model, spec, people, tmp_path)
    assert found.holds, found
