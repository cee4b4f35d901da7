"""Model versions in MLflow, and who holds which role by the ledger, which the aliases of MLflow follow."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from pyspark.ml import PipelineModel

from lakeloop.core.config import Project
from lakeloop.core.errors import ModelError
from lakeloop.core.run_record import RunContext
from lakeloop.lake.champions import Switch, holder, switches
from lakeloop.registry.portable import STATE, Portable, download_release, portable_of
from lakeloop.registry.provenance import Provenance
from lakeloop.registry.tracked_run import TrackedRun, provenance_of, tracked_run
from lakeloop.registry.tracking import connect, definition_of, log_training, open_experiment
from lakeloop.training.spec.model import ModelSpec
from lakeloop.training.train import TrainingResult


@dataclass(frozen=True)
class Champion:
    """The version that answers, MLflow's run of its training, and the versions of the tables that it was made of.

    `release` is where it lies in the lake for processes without Spark, None where it has no such form.
    """

    model: str
    version: int
    run_id: str
    tables: Mapping[str, int]
    release: str | None


@dataclass(frozen=True)
class Registered:
    """A registered version, as its training left it.

    `portable` says what came of its scorer. `slices` are those of `test_slices.json`: column, value, rows, figures.
    """

    model: str
    version: int
    run_id: str
    tables: Mapping[str, int]
    rules: Mapping[str, str]
    metrics: Mapping[str, float]
    portable: Portable
    slices: Sequence[Mapping[str, Any]] = ()


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
        """The champion of a model by the ledger, or None before the first promotion."""
        held = holder(switches(self.lake_root, model), model, "champion")
        if held is None or held.version is None or held.training_run is None:
            return None
        return Champion(model, held.version, held.training_run, held.tables, held.release)

    def trained(self, spec: ModelSpec, table_version: int) -> int | None:
        """The version that was trained from this declaration on this version of its table, if there is one."""
        wanted = {"lakeloop.table_version": str(table_version), "lakeloop.definition": definition_of(spec)}
        try:
            connect(self.tracking_uri, self.lake_root)
            versions: list[ModelVersion] = list(mlflow.MlflowClient().search_model_versions(f"name = '{spec.model}'"))
        except MlflowException as error:
            raise _unreached(error) from error
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

    def registered(self, model: str, version: int) -> Registered:
        """What is known of a version. Raises ModelError where there is none."""
        connect(self.tracking_uri, self.lake_root)
        try:
            run_id = str(mlflow.MlflowClient().get_model_version(model, str(version)).run_id)
            data, made_of = mlflow.get_run(run_id).data, provenance_of(run_id)
            state = data.tags.get(STATE, "none: it was registered without one")
            found = {artifact.path for artifact in mlflow.MlflowClient().list_artifacts(run_id)}
            slices = _slices(run_id) if "test_slices.json" in found else ()
            portable = Portable(None, state.removeprefix("none: ")) if state.startswith("none") else portable_of(run_id)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise _unreached(error) from error
            raise ModelError(f"there is no version {version} of {model}; `lakeloop train` registers one") from error
        metrics = {name: value for name, value in data.metrics.items() if name.startswith("test_")}
        return Registered(model, version, run_id, made_of.tables, made_of.rules, metrics, portable, slices)

    def release(self, run_id: str, into: Path) -> Path:
        """The release of a training, downloaded. Raises ModelError where it is missing."""
        connect(self.tracking_uri, self.lake_root)
        try:
            return download_release(run_id, into)
        except (MlflowException, OSError) as error:
            raise ModelError(
                f"run {run_id} has no whole release under scorer/: {error}; train the model again"
            ) from error

    def mirror(self, switch: Switch) -> str:
        """Make MLflow's alias of a role that of the ledger. Says what kept it from doing so, or nothing."""
        try:
            with _asked_once():
                self._set_alias(switch)
        except MlflowException as error:
            return f"MLflow's alias {switch.role} stays as it was until the next switch: {error.message}"
        return ""

    def _set_alias(self, switch: Switch) -> None:
        connect(self.tracking_uri, self.lake_root)
        client = mlflow.MlflowClient()
        if switch.version is None:
            client.delete_registered_model_alias(switch.model, switch.role)
        else:
            client.set_registered_model_alias(switch.model, switch.role, str(switch.version))

    def load(self, version: Champion | Registered) -> PipelineModel:
        """The fitted pipeline of a version."""
        connect(self.tracking_uri, self.lake_root)
        loaded: PipelineModel = mlflow.spark.load_model(f"models:/{version.model}/{version.version}")
        return loaded


@contextmanager
def _asked_once() -> Iterator[None]:
    """MLflow's server is asked once more at most and waited for ten seconds; by default it is given minutes."""
    bounds = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
    given = {name: os.environ.get(name) for name in bounds}
    os.environ.update({name: bounds[name] for name, value in given.items() if value is None})
    try:
        yield
    finally:
        for name, value in given.items():
            if value is None:
                del os.environ[name]


def _unreached(error: MlflowException) -> ModelError:
    return ModelError(f"the registry at {mlflow.get_tracking_uri()} does not answer: {error.message}")


def _slices(run_id: str) -> Sequence[Mapping[str, Any]]:
    read: dict[str, Any] = json.loads(mlflow.artifacts.load_text(f"runs:/{run_id}/test_slices.json"))
    slices: list[dict[str, Any]] = read["slices"]
    return slices
