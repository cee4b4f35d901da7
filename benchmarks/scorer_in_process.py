"""The scorer in one process, beside onnxruntime with the same numbers and beside Spark's own transform.

`python -m benchmarks.scorer_in_process` prints a table.
"""

import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, SparkSession
from rich.console import Console
from rich.table import Table

from benchmarks.churn_data import KINDS, NUMBERS, SCHEMA, SEED, TEXTS, customers
from benchmarks.quality_rivals import ask, settings
from lakeloop.scoring.archive import write_archive
from lakeloop.scoring.compiling.compiler import compile_pipeline
from lakeloop.scoring.kinds import arrow_type
from lakeloop.training.algorithms import LABEL_COL
from lakeloop.training.features.serving import for_serving
from lakeloop.training.features.stages import feature_stages
from lakeloop.training.spec.model import ModelSpec

ROWS, ROWS_LEARNED, WARM, ROUNDS = 10_000, 5_000, 5, 15
CANDIDATES: dict[str, dict[str, Any]] = {
    "linear": {"logistic_regression": {"regParam": [0.001]}},
    "forest": {"random_forest": {"numTrees": [40], "maxDepth": [8], "minInstancesPerNode": [10]}},
    "boosted": {"gradient_boosted_trees": {"maxIter": [20], "maxDepth": [3], "stepSize": [0.4]}},
}
COLUMNS = {
    "ours_row_us": "row, µs", "onnx_float_row_us": "onnxruntime", "ours_rows_ms": f"{ROWS:,} rows, ms",
    "onnx_float_rows_ms": "onnxruntime", "onnx_one_thread_rows_ms": "one thread", "onnx_double_rows_ms": "64 bits",
    "spark_rows_ms": "Spark", "onnx_float_apart": "32 bits apart", "onnx_double_apart": "64 bits apart",
}  # fmt: skip


def main() -> None:
    """Print what `measured` finds."""
    table = Table("model", *COLUMNS.values(), box=None)
    for name, found in measured().items():
        table.add_row(name, *(f"{found[column]:.3g}" for column in COLUMNS))
    Console().print(table)


def measured(rounds: int = ROUNDS) -> dict[str, dict[str, float]]:
    """Figures by model: microseconds of one row from a dictionary, milliseconds of 10,000 rows, all medians.

    Ours and onnxruntime take turns in one process, with numpy and Arrow alone beside them, after Spark has stopped.
    10,000 rows are given to ours as an Arrow table, to onnxruntime as the arrays that its graph takes, and to Spark as
    a cached frame, whose answers are collected through Arrow. `apart` is the largest difference of a probability.
    """
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as temporary:
        folder = Path(temporary)
        by_spark = _fit_and_transform(folder, rounds)
        beside = ask("onnxruntime", "scorer_beside_onnx", str(folder), str(rounds))
    return {name: {**found, "spark_rows_ms": by_spark[name]} for name, found in beside.items()}


def _fit_and_transform(folder: Path, rounds: int) -> dict[str, float]:
    """Milliseconds that each fitted pipeline takes for the rows; leaves an archive of each, and the rows."""
    more = {"spark.sql.execution.arrow.pyspark.enabled": "true"}
    spark = SparkSession.builder.appName("scorer").config(map={**settings(), **more}).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    learned = frame_of(spark, ROWS_LEARNED, SEED)
    rows = frame_of(spark, ROWS, SEED + 1).repartition(2).cache()
    collected = rows.toPandas()
    given = {name: pa.array(collected[name].astype(object).where(collected[name].notna(), None), arrow_type(kind))
             for name, kind in KINDS.items()}  # fmt: skip
    pq.write_table(pa.table(given), folder / "rows.parquet")
    found = {}
    for name, candidate in CANDIDATES.items():
        spec = declared(candidate)
        model = fitted(spec, learned)
        model.save(str(folder / name))
        write_archive(compile_pipeline(folder / name, KINDS, spec.task), folder / f"{name}.zip")
        answers = model.transform(rows).select(vector_to_array("probability")[1])
        found[name] = _milliseconds(answers, rounds)
    spark.stop()
    return found


def frame_of(spark: SparkSession, rows: int, seed: int) -> DataFrame:
    """Customers by chance, with `_label`."""
    made = customers(rows, seed)
    listed = [tuple(None if value is None else value for value in row) for row in made.itertuples(index=False)]
    frame = spark.createDataFrame(listed, SCHEMA)
    return frame.withColumn(LABEL_COL, (frame["churn"] == "Yes").cast("double"))


def _milliseconds(answers: DataFrame, rounds: int) -> float:
    took = []
    for _ in range(WARM + rounds):
        began = time.perf_counter()
        answers.toPandas()
        took.append(1e3 * (time.perf_counter() - began))
    return statistics.median(took[WARM:])


def fitted(spec: ModelSpec, learned: DataFrame) -> PipelineModel:
    """The pipeline as it would be registered."""
    (point,) = spec.points()
    stages = [*feature_stages(spec, learned.schema, point.on), point.estimator(1)]
    return for_serving(Pipeline(stages=stages).fit(learned))


def declared(candidate: Mapping[str, Any]) -> ModelSpec:
    """The churn model of the demo with one candidate."""
    return ModelSpec.model_validate({
        "model": "churn", "description": "Who leaves", "owner": "bench", "table": "gold.customers",
        "key": "customer_id", "label": {"column": "churn", "positive": "Yes"}, "split": {"test": 0.2, "seed": SEED},
        "folds": {"count": 2, "seed": SEED}, "features": {"numeric": [*NUMBERS], "categorical": [*TEXTS]},
        "candidates": [candidate], "scores": "gold.scores",
    })  # fmt: skip


if __name__ == "__main__":
    main()
