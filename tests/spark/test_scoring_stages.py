"""Stages of Spark's, taken over or refused, and a scorer that is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.ml import Pipeline
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
from lakeloop.registry.parity import check_parity
from lakeloop.scoring.compiling.compiler import compile_pipeline
from lakeloop.scoring.corpus import corpus
from tests.scored_people import compiled, declared, fitted, people_of


@pytest.fixture(scope="module")
def people(spark: SparkSession) -> DataFrame:
    return people_of(spark)


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
    rows = corpus(scorer, [{"text": text} for text in asked])
    found = check_parity(model, scorer, spark.createDataFrame([("",)], "text string").schema, rows)
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
    found = check_parity(
        model, scorer, people.schema, corpus(scorer, [people.select(*spec.features.columns).first().asDict()])
    )
    assert not found.holds
    assert "Spark says" in found.examples[0]
