"""One cross-validation in a process of its own, warmed on few rows; prints a line of JSON."""

import json
import sys
import time
from pathlib import Path

from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import PCA, Imputer, OneHotEncoder, StandardScaler, StringIndexer, VectorAssembler
from pyspark.ml.tuning import CrossValidator, CrossValidatorModel, ParamGridBuilder
from pyspark.sql import SparkSession

from benchmarks.cpu_time import cpu_seconds
from benchmarks.quality_rivals import settings
from benchmarks.training_data import CATEGORIES, FOLDS, NUMBERS
from lakeloop.training.cross_validation.sharing_cross_validator import SharingCrossValidator

PARALLELISM = 2
WAYS = {"spark": CrossValidator, "ours": SharingCrossValidator}
STRENGTHS, MIXES = (0.0001, 0.001, 0.01, 0.1), (0.0, 0.5, 1.0)


def main(way: str, small: str, rows: str) -> None:
    """Cross-validate twelve candidates on five folds, and print seconds, CPU seconds, metrics and the best one."""
    builder = SparkSession.builder.appName(way).config(map=dict(settings()))
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    _fit(spark, way, small)
    started, cpu = time.monotonic(), cpu_seconds()
    model = _fit(spark, way, rows)
    seconds, cpu = time.monotonic() - started, cpu_seconds() - cpu
    best = model.bestModel.stages[-1]  # type: ignore[attr-defined]
    found = {"seconds": seconds, "cpu_seconds": cpu, "metrics": model.avgMetrics,
             "best": [best.getRegParam(), best.getElasticNetParam()]}  # fmt: skip
    print(json.dumps(found), flush=True)
    spark.stop()


def _fit(spark: SparkSession, way: str, folder: str) -> CrossValidatorModel:
    index, slots = [f"{name}_index" for name in CATEGORIES], [f"{name}_slots" for name in CATEGORIES]
    filled = [f"{name}_filled" for name in NUMBERS]
    classifier = LogisticRegression()
    stages = [
        StringIndexer(inputCols=list(CATEGORIES), outputCols=index, handleInvalid="keep"),
        OneHotEncoder(inputCols=index, outputCols=slots),
        Imputer(inputCols=list(NUMBERS), outputCols=filled, strategy="median"),
        VectorAssembler(inputCols=[*filled, *slots], outputCol="assembled"),
        StandardScaler(inputCol="assembled", outputCol="scaled"),
        PCA(k=10, inputCol="scaled", outputCol="features"),
        classifier,
    ]
    grid = (
        ParamGridBuilder()
        .addGrid(classifier.regParam, list(STRENGTHS))
        .addGrid(classifier.elasticNetParam, list(MIXES))
        .build()
    )
    validator = WAYS[way](
        estimator=Pipeline(stages=stages),
        estimatorParamMaps=grid,
        evaluator=BinaryClassificationEvaluator(),
        numFolds=FOLDS,
        foldCol="fold",
        parallelism=PARALLELISM,
    )
    return validator.fit(spark.read.parquet(str(Path(folder))))


if __name__ == "__main__":
    main(*sys.argv[1:])
