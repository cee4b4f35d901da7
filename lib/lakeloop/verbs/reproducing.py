"""Train again what was trained once, and compare every figure."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose
from typing import TYPE_CHECKING

from lakeloop.core.config import Project
from lakeloop.core.errors import LakeloopError, ModelError
from lakeloop.core.run_record import RunContext, now
from lakeloop.lake.ledger import Ledger, RunEntry
from lakeloop.verbs.lakes import open_lake
from lakeloop.verbs.origins import origins_of
from lakeloop.verbs.progress import Progress, silent

if TYPE_CHECKING:
    from lakeloop.lake.tables import Lake
    from lakeloop.registry.tracked_run import TrackedRun
    from lakeloop.training.train import TrainingResult

CLOSE = 1e-9
# What Delta and Spark say of a version whose log, or one of whose files, was cleaned up.
GONE = ("DELTA_VERSION_NOT_FOUND", "DELTA_FILE_NOT_FOUND", "FileNotFoundException", "FILE_NOT_EXIST")


@dataclass(frozen=True)
class Reproduced:
    """A training and its repetition: winner and figures as (then, now), and what is not as it was, a line each."""

    run_id: str
    candidate: tuple[str, str]
    figures: Mapping[str, tuple[float | None, float | None]]
    changes: tuple[str, ...]

    @property
    def apart(self) -> dict[str, tuple[float | None, float | None]]:
        """The figures that differ by more than 1e-9 of their size, or are in one of the two only."""
        return {name: pair for name, pair in self.figures.items() if not _same(*pair)}

    @property
    def verdict(self) -> str:
        """In words."""
        if self.candidate[0] != self.candidate[1]:
            return f"another candidate won: {self.candidate[1]} instead of {self.candidate[0]}"
        apart = f"{len(self.apart)} of {len(self.figures)} figures differ"
        return apart if self.apart else f"the same candidate and the same {len(self.figures)} figures"

    @property
    def is_same(self) -> bool:
        """Whether the same candidate won with the same figures."""
        return self.candidate[0] == self.candidate[1] and not self.apart


def reproduce_model(project: Project, name: str, context: RunContext, progress: Progress = silent) -> Reproduced:
    """Train what a tracked run says on the version of the table that it says, register nothing, and compare.

    `name` is MLflow's run id, `model/version`, or a model, which means its champion. Raises ModelError where nothing is
    tracked by that name, or its version of the table cannot be read any more.
    """
    from lakeloop.registry import ModelRegistry
    from lakeloop.registry.provenance import Provenance
    from lakeloop.registry.tracking import figures_of

    started_at = now()
    tracked = ModelRegistry.of(project).tracked(name)
    spec, version = tracked.spec, tracked.table_version
    lake = open_lake(project, spark_nlp=spec.features.needs_spark_nlp)
    ledger, stream = Ledger(lake.root), f"reproduce_{spec.model}"
    try:
        result = _train_again(lake, tracked, lambda text: progress(f"{name}: {text}"))
    except LakeloopError as error:
        ledger.record(context, RunEntry(stream, spec.table, "failed", started_at, str(error)))
        raise
    figures = figures_of(result)
    both = {key: (tracked.figures.get(key), figures.get(key)) for key in {**tracked.figures, **figures}}
    here = Provenance.now(*origins_of(project, spec.table, version))
    changes = tuple(tracked.provenance.changes(here))
    found = Reproduced(tracked.run_id, (tracked.candidate, str(result.winner.point)), both, changes)
    message = f"run {tracked.run_id} on {spec.table} version {version}: {found.verdict}"
    ledger.record(context, RunEntry(stream, spec.table, "succeeded", started_at, message))
    return found


def _train_again(lake: "Lake", tracked: "TrackedRun", progress: Progress) -> "TrainingResult":
    from lakeloop.core.spark_failures import SPARK_FAILURES, all_said
    from lakeloop.training.train import train

    spec, version = tracked.spec, tracked.table_version
    try:
        frame = lake.read(spec.table, version)
        return train(spec, frame, lambda done, total, text: progress(f"fit {done} of {total}, {text}"))
    except SPARK_FAILURES as error:
        if not any(word in all_said(error) for word in GONE):
            raise
        raise ModelError(
            f"run {tracked.run_id} was trained on {spec.table} version {version}, whose files are not all there any "
            "more, so it cannot be trained again; `keep` in the pipeline that writes the table, and "
            "delta.deletedFileRetentionDuration, say how long versions stay"
        ) from error


def _same(then: float | None, now_is: float | None) -> bool:
    return then is not None and now_is is not None and isclose(then, now_is, rel_tol=CLOSE, abs_tol=CLOSE)
