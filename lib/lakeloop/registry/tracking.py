"""What a training leaves in MLflow: parameters, metrics per candidate and fold, the fitted pipeline, its signature."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import mlflow
import pandas as pd
import pyarrow as pa
import pyspark
from mlflow.entities import Metric as MetricPoint
from mlflow.entities import RunInfo
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from pyspark.sql.types import StructType

from lakeloop.core.errors import ConfigError
from lakeloop.core.run_record import RunContext
from lakeloop.lake.storage import filesystem
from lakeloop.registry.portable import Portable, log_portable
from lakeloop.registry.provenance import Provenance
from lakeloop.scoring.kinds import arrow_type
from lakeloop.training.cross_validation.candidate_scores import CandidateScore
from lakeloop.training.decision.record import calibration_errors, decision_record
from lakeloop.training.metrics.binary import BinaryMetrics
from lakeloop.training.metrics.names import Metric
from lakeloop.training.spec.model import ModelSpec
from lakeloop.training.train import TrainingResult

TRACKING_URI = "MLFLOW_TRACKING_URI"
# Verbs show a bar of their own, and say where what they made is.
QUIET = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
EXAMPLE_ROWS = 5
DECLARATION, FIGURES, PROVENANCE = "declaration.json", "figures.json", "provenance.json"
DECISION = "decision.json"
TYPES = {
    "boolean": DataType.boolean,
    "tinyint": DataType.integer,
    "smallint": DataType.integer,
    "int": DataType.integer,
    "bigint": DataType.long,
    "float": DataType.float,
    "double": DataType.double,
    "timestamp": DataType.datetime,
    "date": DataType.datetime,
}


def connect(tracking_uri: str, lake_root: str) -> None:
    """Point MLflow at its server, or at SQLite inside the lake when no URI is given.

    Raises ConfigError where the lake is in an object store, which can hold no SQLite.
    """
    if not tracking_uri and "://" in lake_root:
        raise ConfigError(f"models cannot be tracked inside {lake_root}; set mlflow.tracking_uri in platform.yml")
    for noisy in ("alembic", "mlflow", "sqlalchemy"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    given = os.environ.get(TRACKING_URI)
    mlflow.set_tracking_uri(tracking_uri or f"sqlite:///{lake_root}/mlflow.db")
    # MLflow exports what it is told, and the next project of this process would take it for its own setting.
    if given is None:
        os.environ.pop(TRACKING_URI, None)
    else:
        os.environ[TRACKING_URI] = given
    if not tracking_uri:
        system, path = filesystem(lake_root)
        system.create_dir(path, recursive=True)


def open_experiment(name: str, tracking_uri: str, lake_root: str) -> None:
    """Make what is logged next part of an experiment; without a server its artifacts lie in the lake."""
    connect(tracking_uri, lake_root)
    if mlflow.get_experiment_by_name(name) is None:
        mlflow.create_experiment(name, artifact_location=None if tracking_uri else f"{lake_root}/mlflow-artifacts")
    mlflow.set_experiment(name)


def definition_of(spec: ModelSpec) -> str:
    """Twelve hexadecimal digits that change whenever the declaration of a model does, its gates apart."""
    return hashlib.sha256(spec.model_dump_json(exclude={"gates"}).encode()).hexdigest()[:12]


def figures_of(result: TrainingResult) -> dict[str, float]:
    """Every figure of a training by a name that says of what: those of the test, then each candidate's on each fold."""
    figures: dict[str, float] = {f"test: {name}": value for name, value in result.test.figures().items()}
    if result.decision is not None:
        figures["decision: threshold"] = result.decision.threshold
    for candidate in result.candidates:
        for fold, metrics in enumerate(candidate.folds, start=1):
            figures |= {f"{candidate.point}, fold {fold}: {name}": value for name, value in metrics.items()}
    return figures


def log_training(
    result: TrainingResult,
    run: RunContext,
    table_version: int,
    provenance: Provenance,
    sample: Sequence[Mapping[str, Any]],
) -> tuple[str, int, Portable]:
    """Log a training as one run with a child per candidate, and below it one per fold, and register its pipeline.

    `sample` are some held-out rows of the features as read, a few of which stay beside the model.

    Returns MLflow's run id, the new model version, and what came of the scorer without Spark.
    """
    spec = result.spec
    tags = {
        "lakeloop.run_id": run.run_id,
        "lakeloop.table": spec.table,
        "lakeloop.table_version": str(table_version),
        "lakeloop.definition": definition_of(spec),
        "lakeloop.held_out": result.held_out.fingerprint,
    }
    tags |= {"lakeloop.code": provenance.code, "lakeloop.rules": json.dumps(provenance.rules, sort_keys=True)}
    with mlflow.start_run(run_name=run.run_id, tags=tags) as tracked:
        mlflow.log_params(
            {
                "candidate": str(result.winner.point),
                "rows_train": result.rows_train,
                "rows_test": result.rows_test,
                "select_by": spec.select_by,
                "select": spec.select,
                "search": spec.search.kind,
                **({"threshold": result.decision.threshold} if result.decision is not None else {}),
            }
        )
        mlflow.log_metrics({f"test_{name}": value for name, value in result.test.figures().items()})
        mlflow.log_dict(spec.model_dump(mode="json"), DECLARATION)
        mlflow.log_dict(result.test.to_dict(), "test_metrics.json")
        mlflow.log_dict(result.importance, "importance.json")
        if result.slices:
            mlflow.log_dict({"slices": [part.to_dict() for part in result.slices]}, "test_slices.json")
        if result.decision is not None and isinstance(result.test, BinaryMetrics):
            record = decision_record(spec, result.decision, result.test, result.uncalibrated)
            mlflow.log_dict(record, DECISION)
            mlflow.log_metrics(calibration_errors(result.decision, result.uncalibrated))
        mlflow.log_dict(figures_of(result), FIGURES)
        mlflow.log_dict(provenance.to_dict(), PROVENANCE)
        mlflow.log_dict(result.comparison.to_dict(), "comparison.json")
        mlflow.log_dict(result.held_out.to_dict(), "held_out.json")
        if result.nested is not None:
            mlflow.log_metrics({f"nested_{name}": value for name, value in result.nested.mean.items()})
        for candidate in result.candidates:
            with mlflow.start_run(run_name=str(candidate.point), nested=True) as of_candidate:
                mlflow.log_params(
                    {
                        "algorithm": candidate.point.algorithm,
                        "on": candidate.point.on,
                        **({"balance": candidate.point.balance} if candidate.point.balance else {}),
                        **({"learn": candidate.point.learn} if candidate.point.learn else {}),
                        **dict(candidate.point.params),
                    }
                )
                for fold, metrics in enumerate(candidate.folds):
                    _log_fold(of_candidate.info, fold, metrics)
                mlflow.log_metrics({f"mean_{name}": value for name, value in candidate.mean.items()})
                mlflow.log_metrics(_cost(candidate))
                mlflow.set_tags(
                    {"lakeloop.stopped": str(candidate.stopped).lower(), "lakeloop.folds": len(candidate.folds)}
                )
        inputs = _columns(result.schema)
        example = _example(sample, result.schema)
        logged = mlflow.spark.log_model(
            result.model,
            artifact_path="model",
            signature=ModelSignature(inputs, Schema([ColSpec(DataType.double, "prediction")])),
            input_example=example,
            pip_requirements=_requirements(result),
        )
        portable = log_portable(tracked.info.run_id, spec, result.model, result.schema, inputs, sample, example)
    client = mlflow.MlflowClient()
    if not client.search_registered_models(f"name = '{spec.model}'"):
        client.create_registered_model(spec.model, description=spec.description)
    version = client.create_model_version(spec.model, logged.model_uri, tracked.info.run_id, tags)
    return tracked.info.run_id, int(version.version), portable


def _example(sample: Sequence[Mapping[str, Any]], schema: StructType) -> pd.DataFrame:
    """A few rows with the types of their columns, those with the fewest NULLs, which turn whole numbers into floats."""
    rows = sorted(sample, key=lambda row: sum(value is None for value in row.values()))[:EXAMPLE_ROWS]
    made = {}
    for field in schema:
        kind = arrow_type(field.dataType.simpleString())
        kind = pa.timestamp("us") if pa.types.is_timestamp(kind) else kind  # MLflow's times have no zone
        made[field.name] = pa.array([row[field.name] for row in rows], kind)
    typed: pd.DataFrame = pa.table(made).to_pandas(date_as_object=False)
    return typed


def _requirements(result: TrainingResult) -> list[str]:
    packages = [f"pyspark=={pyspark.__version__}"]
    if result.winner.point.algorithm == "xgboost":
        import xgboost

        packages.append(f"xgboost=={xgboost.__version__}")
    if result.spec.features.needs_spark_nlp:
        packages.append(f"spark-nlp=={metadata.version('spark-nlp')}")
    return packages


def _log_fold(candidate: RunInfo, fold: int, metrics: Mapping[Metric, float]) -> None:
    """A step of each metric of the candidate, and a run of the fold below it."""
    client, at = mlflow.MlflowClient(), int(time.time() * 1000)
    client.log_batch(candidate.run_id, [MetricPoint(name, value, at, fold) for name, value in metrics.items()])
    tags = {MLFLOW_PARENT_RUN_ID: candidate.run_id}
    below = client.create_run(candidate.experiment_id, tags=tags, run_name=f"fold {fold + 1}")
    client.log_batch(below.info.run_id, [MetricPoint(name, value, at, 0) for name, value in metrics.items()])
    client.set_terminated(below.info.run_id)


def _cost(candidate: CandidateScore) -> dict[str, float]:
    found = {"scoring_seconds_per_1000_rows": candidate.scoring_seconds, "numbers": candidate.numbers}
    return {name: value for name, value in found.items() if value is not None}


def _columns(schema: StructType) -> Schema:
    return Schema([
        ColSpec(TYPES.get(field.dataType.simpleString(), DataType.string), field.name, required=False)
        for field in schema
    ])  # fmt: skip
