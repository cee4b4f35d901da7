"""The model that answers without Spark, logged beside the one that Spark saved, and how the two agree."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
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
from lakeloop.scoring.archive import read_archive, write_archive
from lakeloop.scoring.compiling.compiler import compile_pipeline
from lakeloop.scoring.scorer import Task

FILE, FOLDER, PARITY = "scorer.zip", "scorer", "parity.json"


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
    model: PipelineModel,
    schema: StructType,
    task: Task,
    inputs: Schema,
    sample: Sequence[Mapping[str, Any]],
    example: pd.DataFrame,
) -> Portable:
    """Compile what the active run has logged under `model/`, compare it with Spark, and log both scorer and finding.

    `schema` is that of the features as read, `sample` some of their rows, `example` a few, typed. The archive is a
    pyfunc model under `scorer/`, which needs neither Spark nor Java.
    """
    folder = Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="model/sparkml"))
    kinds = {field.name: field.dataType.simpleString() for field in schema}
    try:
        scorer = compile_pipeline(folder, kinds, task)
    except ScorerError as error:
        mlflow.set_tag("lakeloop.scorer", f"none: {error}"[:5_000])
        return Portable(None, str(error))
    with TemporaryDirectory(prefix="lakeloop-scorer-") as temporary:
        file = Path(temporary) / FILE
        write_archive(scorer, file)
        parity = check_parity(model, read_archive(file), schema, sample)
        outputs = ["prediction"] if task == "regression" else ["prediction", "probability"]
        mlflow.pyfunc.log_model(
            artifact_path=FOLDER,
            loader_module="lakeloop.scoring.pyfunc",
            data_path=str(file),
            signature=ModelSignature(inputs, Schema([ColSpec(DataType.double, name) for name in outputs])),
            input_example=example,
            pip_requirements=[f"{name}=={version(name)}" for name in ("lakeloop", "numpy", "pandas", "pyarrow")],
        )
    mlflow.log_dict({**asdict(parity), "holds": parity.holds}, PARITY)
    mlflow.set_tag("lakeloop.scorer", "agrees" if parity.holds else "differs")
    return Portable(parity)
