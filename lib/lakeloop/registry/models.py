"""Model versions and the alias `champion`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from pyspark.ml import PipelineModel

from lakeloop.core.config import Project
from lakeloop.core.errors import ModelError
from lakeloop.core.run_record import RunContext
from lakeloop.registry.portable import Portable
from lakeloop.registry.provenance import Provenance
from lakeloop.registry.tracked_run import TrackedRun, tracked_run
from lakeloop.registry.tracking import connect, definition_of, log_training, open_experiment
from lakeloop.training.spec.model import ModelSpec
from lakeloop.training.train import TrainingResult

ALIAS = "champion"


@dataclass(frozen=True)
class Champion:
    """The version that answers today and what it was trained on."""

    model: str
    version: int
    run_id: str
    table_version: int


@dataclass(frozen=True)
class ModelRegistry:
    """Versions of one project's models. Works in an empty registry."""

    tracking_uri: str
    lake_root: str

    @classmethod
    def of(cls, project: Project) -> "ModelRegistry":
        """The registry that `platform.yml` names."""
        return cls(project.platform.mlflow.tracking_uri, project.lake_root)

    def champion(self, model: str) -> Champion | None:
        """The champion of a model, or None before the first promotion."""
        try:
            connect(self.tracking_uri, self.lake_root)
            version = mlflow.MlflowClient().get_model_version_by_alias(model, ALIAS)
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise ModelError(f"the registry at {mlflow.get_tracking_uri()} does not answer: {error.message}") from error
        return Champion(model, int(version.version), str(version.run_id), int(version.tags["lakeloop.table_version"]))

    def trained(self, spec: ModelSpec, table_version: int) -> int | None:
        """The version that was trained from this declaration on this version of its table, if there is one."""
        wanted = {"lakeloop.table_version": str(table_version), "lakeloop.definition": definition_of(spec)}
        versions: list[ModelVersion] = list(mlflow.MlflowClient().search_model_versions(f"name = '{spec.model}'"))
        same = [int(v.version) for v in versions if wanted.items() <= v.tags.items()]
        return max(same, default=None)

    def register(
        self,
        result: TrainingResult,
        run: RunContext,
        table_version: int,
        provenance: Provenance,
        sample: Sequence[Mapping[str, Any]],
    ) -> tuple[int, Portable]:
        """Track a training and register its pipeline as a new version, which nobody uses yet.

        Also says what came of the scorer that needs no Spark. `sample` are some rows of the features as read.
        """
        open_experiment(result.spec.model, self.tracking_uri, self.lake_root)
        _, version, portable = log_training(result, run, table_version, provenance, sample)
        return version, portable

    def tracked(self, name: str) -> TrackedRun:
        """What a training left: `name` is MLflow's run id, `model/version`, or a model, which means its champion.

        Raises ModelError where there is none, or its run was tracked by other means than `register`.
        """
        model, _, version = name.partition("/")
        if not version and (champion := self.champion(model)) is not None:
            version = str(champion.version)
        connect(self.tracking_uri, self.lake_root)
        try:
            run_id = str(mlflow.MlflowClient().get_model_version(model, version).run_id) if version else name
            return tracked_run(run_id)
        except MlflowException as error:
            raise ModelError(
                f"no training is tracked as '{name}': give MLflow's run id, a version of a model as {model}/1, or a "
                f"model that has a champion ({error.message})"
            ) from error

    def attach(self, model: str, version: int, documents: Mapping[str, str]) -> None:
        """Put texts, by file name, beside the model of a version, in the run that trained it."""
        connect(self.tracking_uri, self.lake_root)
        client = mlflow.MlflowClient()
        run_id = str(client.get_model_version(model, str(version)).run_id)
        for name, text in documents.items():
            client.log_text(run_id, text, name)

    def promote(self, model: str, version: int) -> None:
        """Make a version the champion."""
        mlflow.MlflowClient().set_registered_model_alias(model, ALIAS, str(version))

    def load(self, champion: Champion) -> PipelineModel:
        """The fitted pipeline of a champion."""
        connect(self.tracking_uri, self.lake_root)
        model: PipelineModel = mlflow.spark.load_model(f"models:/{champion.model}/{champion.version}")
        return model
