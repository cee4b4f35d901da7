"""What a training left in MLflow, read back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mlflow

from lakeloop.core.errors import ModelError
from lakeloop.registry.provenance import Provenance
from lakeloop.registry.tracking import DECLARATION, FIGURES, PROVENANCE
from lakeloop.training.spec.model import ModelSpec


@dataclass(frozen=True)
class TrackedRun:
    """A training as it was: its declaration, the version of its table, every figure by name, what it was made of."""

    run_id: str
    spec: ModelSpec
    table_version: int
    candidate: str
    figures: Mapping[str, float]
    provenance: Provenance


def tracked_run(run_id: str) -> TrackedRun:
    """Read a run back. Raises MlflowException where there is none, ModelError where it was not tracked by Lakeloop."""
    run = mlflow.get_run(run_id)
    version = run.data.tags.get("lakeloop.table_version")
    if version is None:
        raise ModelError(f"run {run_id} is no training of Lakeloop's: it says no version of a table; give another run")
    return TrackedRun(
        run_id=run_id,
        spec=ModelSpec.model_validate(_document(run_id, DECLARATION)),
        table_version=int(version),
        candidate=run.data.params["candidate"],
        figures=_document(run_id, FIGURES),
        provenance=provenance_of(run_id),
    )


def provenance_of(run_id: str) -> Provenance:
    """What a run was made of. Raises MlflowException where it was not tracked by Lakeloop."""
    return Provenance.of_dict(_document(run_id, PROVENANCE))


def _document(run_id: str, name: str) -> dict[str, Any]:
    # Not mlflow.artifacts.load_dict, which shows a progress bar of its own.
    found: dict[str, Any] = json.loads(mlflow.artifacts.load_text(f"runs:/{run_id}/{name}"))
    return found
