"""Train a model on a table, and score the table by its champion."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lakeloop.core.config import Project
from lakeloop.core.errors import LakeloopError, ModelError, PromotionRefusedError
from lakeloop.core.run_record import RowCounts, RunContext, now
from lakeloop.lake.ledger import Ledger, Plan, RunEntry
from lakeloop.verbs.champions import put_in_place
from lakeloop.verbs.lakes import open_lake
from lakeloop.verbs.origins import origins_of
from lakeloop.verbs.progress import Progress, silent
from lakeloop.verbs.restoring import keep_rules

if TYPE_CHECKING:  # Spark's machine learning and MLflow take four seconds, which no other command should wait for
    from pyspark.sql import DataFrame

    from lakeloop.registry import Champion, ModelRegistry
    from lakeloop.training.metrics.measuring import Metrics
    from lakeloop.training.spec.model import ModelSpec
    from lakeloop.training.train import TrainingResult

By = Literal["spark", "archive"]
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
    """Train a model, register the version, and make it champion if it passes the gates.

    Nothing is trained when a version from this declaration and this version of the table exists. An older champion may
    have learned from rows that are test rows today, which is to its advantage.
    """
    from lakeloop.registry import ModelRegistry
    from lakeloop.registry.provenance import Provenance
    from lakeloop.training.algorithms import LABEL_COL
    from lakeloop.training.comparison.beside import gain_over
    from lakeloop.training.interpretation.what_if import RANK, sample_of
    from lakeloop.training.spec.model import ModelSpec
    from lakeloop.training.train import evaluate, labelled_test_rows, train

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
    held_out = labelled_test_rows(spec, frame).persist()  # the old champion, the comparison and the sample read them
    try:
        result = train(spec, frame, lambda done, total, text: progress(f"{name}: fit {done} of {total}, {text}"))
        previous, gain = None, None
        if champion is not None:
            progress(f"{name}: comparing with version {champion.version}")
            before = registry.load(champion)
            previous = evaluate(before, held_out.drop(LABEL_COL), spec)
            gain = gain_over(spec, result.model, before, held_out)
        progress(f"{name}: registering")
        made_of = Provenance.now(*origins_of(project, spec.table, table_version))
        keep_rules(project, made_of.rules)
        some = sample_of(spec, held_out, SAMPLE_ROWS, seed=0).orderBy(RANK).select(*spec.features.columns)
        sample = [row.asDict() for row in some.collect()]
        version, portable = registry.register(result, context, table_version, made_of, sample)
        registry.attach(spec.model, version, _documents(name, result, previous, version, table_version, context))
        registered = registry.registered(spec.model, version)
        refused = ""
        try:
            put_in_place(project, spec, registry, registered, context, gain, why="trained")
        except PromotionRefusedError as error:
            refused = f", {error}"
    except LakeloopError as error:
        ledger.record(context, RunEntry(name, spec.table, "failed", started_at, str(error)))
        raise
    finally:
        held_out.unpersist()
    message = f"version {version} of {spec.model}, {result.winner.point}{refused}"
    entry = RunEntry(
        name, spec.table, "succeeded", started_at, message, counts=_all_good(result.rows_train + result.rows_test)
    )
    ledger.record(context, entry)
    return Trained(entry, version, not refused, result, previous, str(portable))


def score_table(
    project: Project, name: str, context: RunContext, progress: Progress = silent, by: By | None = None
) -> RunEntry:
    """Replace the table of scores by the champion's answers, unless champion and table are those of the last scoring.

    `by` says who works them out, which changes no answer: the pipeline that Spark fitted, or the archive of it; by
    default the archive, where the champion has one. Raises ModelError for a model without a champion, and for one
    without an archive where that is asked for.
    """
    from lakeloop.registry import ModelRegistry
    from lakeloop.training.spec.model import ModelSpec

    started_at = now()
    spec = project.document("models", name).parse(ModelSpec)
    lake = open_lake(project, spark_nlp=spec.features.needs_spark_nlp)
    registry = ModelRegistry.of(project)
    ledger, champion = Ledger(lake.root), registry.champion(spec.model)
    if champion is None:
        raise ModelError(f"{spec.model} has no champion; run `lakeloop train {name}` first")
    if by == "archive" and champion.release is None:
        raise ModelError(
            f"version {champion.version} of {spec.model} has no archive; run `lakeloop score {name} --by spark`"
        )
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
    scores = _scored(registry, champion, rows, spec, context, by or "archive")
    lake.write(spec.scores, scores, mode="overwrite", commit=batch.commit)
    counts = _all_good(lake.read(spec.scores).count())
    entry = RunEntry(stream, spec.scores, "succeeded", started_at, plan.summary, batch.batch_id, counts)
    ledger.record(context, entry)
    return entry


def _scored(
    registry: "ModelRegistry", champion: "Champion", rows: "DataFrame", spec: "ModelSpec", context: RunContext, by: By
) -> "DataFrame":
    from lakeloop.ingestion.enrichment.model_answers import archive_in
    from lakeloop.registry.scoring import score_rows, score_rows_by_archive

    if by == "spark" or champion.release is None:
        return score_rows(registry.load(champion), rows, spec, champion.version, context)
    archive = archive_in(registry.lake_root, champion.release)
    return score_rows_by_archive(archive, rows, spec, champion.version, context)


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


def _all_good(rows: int) -> RowCounts:
    return RowCounts(read=rows, good=rows)
