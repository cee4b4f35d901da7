"""More versions of a trained model, without training: its scorer with other numbers, or broken in one way each."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import numpy as np
from mlflow.entities import Metric, Param, RunTag

from lakeloop.core.config import Project
from lakeloop.registry import ModelRegistry
from lakeloop.registry.portable import FOLDER, RELEASE
from lakeloop.registry.tracking import connect
from lakeloop.scoring.release import ARCHIVE, DOCUMENT, read_release, write_release
from lakeloop.scoring.scorer import Scorer
from lakeloop.scoring.stages.trees import ForestClassifier, Trees

STUMPS = 10_000
Change = Callable[[Path], None]  # what is done to the folder of a release


def add_version(project: Project, model: str, of: int, change: Change) -> int:
    """Register a run that is as that of version `of`, Spark's pipeline apart, with its release changed."""
    registry = ModelRegistry.of(project)
    connect(registry.tracking_uri, registry.lake_root)
    client = mlflow.MlflowClient()
    source = client.get_run(registry.registered(model, of).run_id)
    made = client.create_run(source.info.experiment_id)
    data, identity = source.data, made.info.run_id
    at = source.info.start_time
    client.log_batch(
        identity,
        [Metric(name, value, at, 0) for name, value in data.metrics.items()],
        [Param(name, value) for name, value in data.params.items()],
        [RunTag(name, value) for name, value in data.tags.items() if name.startswith("lakeloop.")],
    )
    with TemporaryDirectory(prefix="lakeloop-drill-") as temporary:
        folder = Path(mlflow.artifacts.download_artifacts(run_id=source.info.run_id, dst_path=temporary))
        shutil.rmtree(folder / "model", ignore_errors=True)
        client.log_artifacts(identity, str(folder))
    with TemporaryDirectory(prefix="lakeloop-drill-") as temporary:
        release = registry.release(source.info.run_id, Path(temporary))
        change(release)
        client.log_artifacts(identity, str(release), f"{FOLDER}/data/{RELEASE}")
    client.set_terminated(identity)
    return int(client.create_model_version(model, f"runs:/{identity}/model", identity, dict(data.tags)).version)


def shifted(by: float) -> Change:
    """Sound: a linear model whose intercept is another."""
    return _rewritten(
        lambda scorer: _with_model(scorer, replace(_model(scorer), intercept=_model(scorer).intercept + by))
    )


def without_document(release: Path) -> None:
    """Broken: one of the two files is not there."""
    (release / DOCUMENT).unlink()


def without_column(release: Path) -> None:
    """Broken: it takes a column that the table does not have."""
    _rewritten(lambda scorer: replace(scorer, columns={**scorer.columns, "not_in_the_table": "double"}))(release)


def answering_nan(release: Path) -> None:
    """Broken: what it says is no number."""
    _rewritten(lambda scorer: _with_model(scorer, replace(_model(scorer), intercept=float("nan"))))(release)


def slow(release: Path) -> None:
    """Broken: it asks so many trees that a row takes milliseconds."""
    _rewritten(lambda scorer: _with_model(scorer, _forest(_model(scorer))))(release)


def _rewritten(changed: Callable[[Scorer], Scorer]) -> Change:
    def change(folder: Path) -> None:
        release = read_release(folder)
        card = release.card
        for name in (ARCHIVE, DOCUMENT):
            (folder / name).unlink()
        write_release(
            folder, changed(release.scorer), model=card.model, table=card.table, key=card.key,
            background=card.background, probes=[row for row, _, _ in card.probes],
        )  # fmt: skip

    return change


def _model(scorer: Scorer) -> Any:
    return scorer.stages[-1]


def _with_model(scorer: Scorer, model: Any) -> Scorer:
    return replace(scorer, stages=[*scorer.stages[:-1], model])


def _forest(linear: Any) -> ForestClassifier:
    """Stumps on the first slot in the place of a linear model."""
    roots = 3 * np.arange(STUMPS)
    nodes = np.arange(3 * STUMPS)
    is_root = nodes % 3 == 0
    values = np.where((nodes % 3 == 1)[:, np.newaxis], [0.3, 0.7], [0.7, 0.3])
    trees = Trees(
        slots=np.where(is_root, 0, -1), thresholds=np.zeros(len(nodes)), lefts=np.where(is_root, nodes + 1, nodes),
        rights=np.where(is_root, nodes + 2, nodes), sets=np.full(len(nodes), -1),
        categories=np.zeros((0, 0), dtype=bool), values=values, roots=roots, weights=np.ones(STUMPS),
    )  # fmt: skip
    return ForestClassifier(linear.features, linear.raw, linear.probability, linear.prediction, trees)
