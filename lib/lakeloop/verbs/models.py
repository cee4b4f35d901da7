"""Train a model on a table, and score the table by its champion."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakeloop.core.config import Project
from lakeloop.core.errors import LakeloopError, ModelError
from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.lake.ledger import Ledger, Plan, RunEntry
from lakeloop.verbs.lakes import Progress, open_lake, silent
from lakeloop.verbs.origins import origins_of

if TYPE_CHECKING:  # Spark's machine learning and MLflow take four seconds, which no other command should wait for
    from lakeloop.training.metrics.measuring import Metrics
    from lakeloop.training.metrics.names import Metric
    from lakeloop.training.train import TrainingResult

SAMPLE_ROWS = 200


@dataclass(frozen=True)
class Trained:
    """What `train` did. `result` is None when this version of the table had been trained on already.

    `portable` says what came of the scorer that answers without Spark.
    """

    entry: RunEntry
    version: int
    promoted: bool
    result: "TrainingResult | None" = None
    previous: "Metrics | None" = None
    portable: str = ""


def train_model(project: Project, name: str, context: RunContext, progress: Progress = silent) -> Trained:
    """Train a model, register the version, and make it champion unless the champion does better on the same test rows.

    Nothing is trained when a version from this declaration and this version of the table exists. An older champion may
    have learned from rows that are test rows today, so a tie goes to the new version.
    """
    from lakeloop.registry import ModelRegistry
    from lakeloop.registry.provenance import Provenance
    from lakeloop.training.spec.model import ModelSpec
    from lakeloop.training.train import evaluate, test_rows, train

    started_at = now()
    spec = project.document("models", name).parse(ModelSpec)
    lake = open_lake(project, spark_nlp=spec.features.needs_spark_nlp)
    registry = ModelRegistry.of(project)
    ledger, table_version = Ledger(lake.root), lake.version(spec.table)
    champion = registry.champion(spec.model)
    if (known := registry.trained(spec, table_version)) is not None:
        message = f"{spec.table} version {table_version} has been trained on: version {known} of {spec.model}"
        entry = RunEntry(name, spec.table, "nothing_new", started_at, message)
        ledger.record(context, entry)
        return Trained(entry, known, promoted=False)
    frame = lake.read(spec.table, table_version)
    try:
        result = train(spec, frame, lambda done, total, text: progress(f"{name}: fit {done} of {total}, {text}"))
        previous = None
        if champion is not None:
            progress(f"{name}: comparing with version {champion.version}")
            previous = evaluate(registry.load(champion), test_rows(spec, frame), spec)
        progress(f"{name}: registering")
        made_of = Provenance.now(*origins_of(project, spec.table, table_version))
        sample = [row.asDict() for row in frame.select(*spec.features.columns).limit(SAMPLE_ROWS).collect()]
        version, portable = registry.register(result, context, table_version, made_of, sample)
        registry.attach(spec.model, version, _documents(name, result, previous, version, table_version, context))
    except LakeloopError as error:
        ledger.record(context, RunEntry(name, spec.table, "failed", started_at, str(error)))
        raise
    is_better = previous is None or _is_as_good(result.test, previous, spec.select_by)
    promoted = is_better and not portable.is_wrong
    if promoted:
        registry.promote(spec.model, version)
    standing = "" if promoted else f", not promoted: {portable if is_better else 'the champion does better'}"
    message = f"version {version} of {spec.model}, {result.winner.point}{standing}"
    entry = RunEntry(
        name, spec.table, "succeeded", started_at, message, counts=_all_good(result.rows_train + result.rows_test)
    )
    ledger.record(context, entry)
    return Trained(entry, version, promoted, result, previous, str(portable))


def score_table(project: Project, name: str, context: RunContext, progress: Progress = silent) -> RunEntry:
    """Replace the table of scores by the champion's answers, unless champion and table are those of the last scoring.

    Raises ModelError when the model has no champion yet.
    """
    from lakeloop.registry import ModelRegistry
    from lakeloop.registry.scoring import score_rows
    from lakeloop.training.spec.model import ModelSpec

    started_at = now()
    spec = project.document("models", name).parse(ModelSpec)
    lake = open_lake(project, spark_nlp=spec.features.needs_spark_nlp)
    registry = ModelRegistry.of(project)
    ledger, champion = Ledger(lake.root), registry.champion(spec.model)
    if champion is None:
        raise ModelError(f"{spec.model} has no champion; run `lakeloop train {name}` first")
    details = {"table_version": lake.version(spec.table), "model_version": champion.version}
    stream = f"score_{name}"
    before = ledger.history(stream)
    if before.outcome == "succeeded" and before.finished and before.finished.details == details:
        entry = RunEntry(stream, spec.scores, "nothing_new", started_at, "the same champion and the same rows")
        ledger.record(context, entry)
        return entry
    progress(f"{name}: scoring with version {champion.version}")
    plan = Plan(details, f"{spec.table} version {details['table_version']} by version {champion.version}")
    batch = ledger.plan(stream, plan, context, before)
    rows = lake.read(spec.table, details["table_version"])
    scores = score_rows(registry.load(champion), rows, spec, champion.version, context)
    lake.write(spec.scores, scores, mode="overwrite", commit=batch.commit)
    counts = _all_good(lake.read(spec.scores).count())
    entry = RunEntry(stream, spec.scores, "succeeded", started_at, plan.summary, batch.batch_id, counts)
    ledger.record(context, entry)
    return entry


def _documents(
    name: str, result: "TrainingResult", previous: "Metrics | None", version: int, table_version: int, run: RunContext
) -> dict[str, str]:
    """What people read of a model, by file name: its card twice, and the report of its training."""
    from lakeloop.registry.tracking import definition_of
    from lakeloop.reports.model_card import Provenance, model_card
    from lakeloop.reports.model_report import model_report

    spec = result.spec
    card = model_card(
        result, Provenance(name, run.environment, version, table_version, run.run_id, definition_of(spec))
    )
    report = model_report(result, previous, f"Model {spec.model}, version {version}")
    return {"model_card.md": card.markdown, "model_card.html": card.html, "report.html": report}


def _is_as_good(new: "Metrics", old: "Metrics", metric: "Metric") -> bool:
    from lakeloop.training.metrics.names import LOWER_IS_BETTER

    gain = new.figures()[metric] - old.figures()[metric]
    return gain <= 0 if metric in LOWER_IS_BETTER else gain >= 0


def _all_good(rows: int) -> RowCounts:
    return RowCounts(read=rows, good=rows)
