"""The model that answers without Spark, logged beside the one that Spark saved, and how the two agree."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from pyspark.ml import PipelineModel
from pyspark.sql.types import StructType

from lakeloop.core.errors import ScorerError
from lakeloop.registry.parity import Parity, check_parity
from lakeloop.scoring.compiling.compiler import compile_pipeline
from lakeloop.scoring.corpus import corpus
from lakeloop.scoring.reasons import DRAWS
from lakeloop.scoring.release import read_release, write_release
from lakeloop.training.spec.model import ModelSpec

FOLDER, PARITY = "scorer", "parity.json"
RELEASE = "release"
STATE = "lakeloop.scorer"


@dataclass(frozen=True)
class Portable:
    """What came of compiling a model: how it agrees with Spark, or the `reason` why there is no scorer of it."""

    parity: Parity | None
    reason: str = ""

    @property
    def is_wrong(self) -> bool:
        """Whether there is a scorer that says something else than Spark, so that the model must not be champion."""
        return self.parity is not None and not self.parity.holds

    def __str__(self) -> str:
        if self.parity is None:
            return f"no scorer without Spark: {self.reason}"
        found = self.parity
        if found.holds:
            return f"answers without Spark as with it, on {found.rows:,} rows made to part them"
        return (
            f"the scorer differs from Spark on {found.labels_apart} labels of {found.rows:,}, numbers by up to "
            f"{found.numbers_apart:.3g}; such as {found.examples[0]}"
        )


def log_portable(
    run_id: str,
    spec: ModelSpec,
    model: PipelineModel,
    schema: StructType,
    inputs: Schema,
    sample: Sequence[Mapping[str, Any]],
    example: pd.DataFrame,
) -> Portable:
    """Compile what the active run has logged under `model/`, compare it with Spark, and log both scorer and finding.

    `schema` is that of the features as read, `sample` some of their held-out rows, of which explanations start from the
    first, `example` a few, typed. What is logged under `scorer/` is a pyfunc model that needs neither Spark nor Java;
    inside of it is the release from which serving processes answer.
    """
    folder = Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="model/sparkml"))
    kinds = {field.name: field.dataType.simpleString() for field in schema}
    try:
        scorer = compile_pipeline(folder, kinds, spec.task)
    except ScorerError as error:
        mlflow.set_tag(STATE, f"none: {error}"[:5_000])
        return Portable(None, str(error))
    with TemporaryDirectory(prefix="lakeloop-scorer-") as temporary:
        release = Path(temporary) / RELEASE
        release.mkdir()
        about, rows = {"model": spec.model, "table": spec.table, "key": spec.key}, corpus(scorer, sample)
        write_release(release, scorer, **about, background=sample[:DRAWS], probes=rows)
        parity = check_parity(model, read_release(release).scorer, schema, rows)
        outputs = ["prediction"] if spec.task == "regression" else ["prediction", "probability"]
        mlflow.pyfunc.log_model(
            artifact_path=FOLDER,
            loader_module="lakeloop.scoring.pyfunc",
            data_path=str(release),
            signature=ModelSignature(inputs, Schema([ColSpec(DataType.double, name) for name in outputs])),
            input_example=example,
            pip_requirements=[f"{name}=={version(name)}" for name in ("lakeloop", "numpy", "pandas", "pyarrow")],
        )
    mlflow.log_dict({**asdict(parity), "holds": parity.holds}, PARITY)
    mlflow.set_tag(STATE, "agrees" if parity.holds else "differs")
    return Portable(parity)


def portable_of(run_id: str) -> Portable:
    """What `log_portable` has logged of a scorer. Raises MlflowException where it logged none."""
    kept = json.loads(mlflow.artifacts.load_text(f"runs:/{run_id}/{PARITY}"))
    parity = {field.name: kept[field.name] for field in fields(Parity)}
    return Portable(Parity(**{**parity, "examples": tuple(parity["examples"])}))


def download_release(run_id: str, into: Path) -> Path:
    """The release of a training's model, as a local folder. Raises MlflowException where it is not there."""
    path = f"{FOLDER}/data/{RELEASE}"
    return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path, dst_path=str(into)))
