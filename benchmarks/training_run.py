"""One cross-validation in a process of its own, warmed on few rows; prints a line of JSON."""

import json
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from py4j.protocol import Py4JJavaError
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

# Fits at the same time, as Spark is tried. Two that meet in the singular value decomposition of PCA make its Java
# LAPACK fail now and then (NotConvergedException), which Spark's own validator does not survive and ours cannot meet.
TRIES = (2, 2, 1)
WAYS = {"spark": CrossValidator, "ours": SharingCrossValidator}
STRENGTHS, MIXES = (0.0001, 0.001, 0.01, 0.1), (0.0, 0.5, 1.0)


def main(way: str, small: str, rows: str, candidates: str = "twelve") -> None:
    """Cross-validate twelve candidates, or one, on five folds, and print what it took, metrics and the best one.

    `driver_mib` is the most memory that Python held; `heap_mib` what Java holds after the run once it has collected.
    """
    builder = SparkSession.builder.appName(way).config(map=dict(settings()))
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    grid = (STRENGTHS, MIXES) if candidates == "twelve" else (STRENGTHS[1:2], MIXES[:1])
    _fit(spark, way, small, *grid, TRIES[0])
    failed = 0
    for parallelism in TRIES:
        started, cpu = time.monotonic(), cpu_seconds()
        try:
            model = _fit(spark, way, rows, *grid, parallelism)
        except Py4JJavaError as error:
            if "NotConvergedException" not in str(error) or parallelism == 1:
                raise
            failed += 1
        else:
            break
    seconds, cpu = time.monotonic() - started, cpu_seconds() - cpu
    best = model.bestModel.stages[-1]  # type: ignore[attr-defined]
    spark.catalog.clearCache()
    found = {"seconds": seconds, "cpu_seconds": cpu, "metrics": model.avgMetrics,
             "best": [best.getRegParam(), best.getElasticNetParam()], "heap_mib": _heap_mib(spark),
             "failed": failed, "parallelism": parallelism,
             "driver_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}  # fmt: skip
    print(json.dumps(found), flush=True)
    spark.stop()


def _heap_mib(spark: SparkSession) -> float:
    runtime = spark.sparkContext._jvm.java.lang.Runtime.getRuntime()
    runtime.gc()
    return float((runtime.totalMemory() - runtime.freeMemory()) / 2**20)


def _fit(
    spark: SparkSession, way: str, folder: str, strengths: Sequence[float], mixes: Sequence[float], parallelism: int
) -> CrossValidatorModel:
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
        .addGrid(classifier.regParam, list(strengths))
        .addGrid(classifier.elasticNetParam, list(mixes))
        .build()
    )
    validator = WAYS[way](
        estimator=Pipeline(stages=stages),
        estimatorParamMaps=grid,
        evaluator=BinaryClassificationEvaluator(),
        numFolds=FOLDS,
        foldCol="fold",
        parallelism=parallelism,
    )
    return validator.fit(spark.read.parquet(str(Path(folder))))


if __name__ == "__main__":
    main(*sys.argv[1:])
