"""The model card (Mitchell et al. 2019, "Model Cards for Model Reporting"): what users of a model must know of it."""

from dataclasses import dataclass

import pyspark

import lakeloop
from lakeloop.reports.markdown import render_markdown
from lakeloop.reports.model_comparison import choice_table, nested_section, said_of_choice
from lakeloop.reports.model_decision import said_of_decision
from lakeloop.reports.model_names import METRIC_NAMES
from lakeloop.reports.model_warnings import limits, warnings
from lakeloop.reports.page import Section, Table, render_page, rounded
from lakeloop.training.metrics.measuring import Metrics
from lakeloop.training.metrics.names import Metric
from lakeloop.training.spec.model import ModelSpec
from lakeloop.training.train import TrainingResult


@dataclass(frozen=True)
class Provenance:
    """What a training result does not know of itself: its file, its version, and the version of its table."""

    file: str
    environment: str
    version: int
    table_version: int
    run_id: str
    definition: str


@dataclass(frozen=True)
class ModelCard:
    """The same card twice."""

    markdown: str
    html: str


def model_card(result: TrainingResult, provenance: Provenance) -> ModelCard:
    """The card of a model that has just been trained."""
    title = f"Model card: {result.spec.model}, version {provenance.version}"
    subtitle = f"{result.spec.owner} answers for it. Trained {result.held_out.measured_at:%Y-%m-%d %H:%M} UTC."
    sections = card_sections(result, provenance)
    return ModelCard(render_markdown(title, subtitle, sections), render_page(title, subtitle, sections))


def card_sections(result: TrainingResult, provenance: Provenance) -> list[Section]:
    """What it answers, how good it is, how it was chosen, what it looks at, what to beware of, how to make it again."""
    found = warnings(result)
    return [
        Section(title="What it answers", intro=result.spec.description, tables=(_facts(result, provenance),)),
        Section(
            title="How good it is",
            intro=f"On {result.rows_test:,} rows that were held out of everything and measured once, and over the "
            "folds that chose it.",
            tables=(_metrics(result),),
        ),
        Section(title="How it was chosen", intro=said_of_choice(result), tables=(choice_table(result.comparison),)),
        *([nested_section(result.nested, result)] if result.nested else []),
        Section(
            title="What it looks at",
            intro="How much the model uses each column, in shares of 1; not in which direction.",
            tables=(Table("Importance", ("column", "share"), tuple(result.importance.items())),),
        ),
        Section(
            title="Warnings",
            intro="Found in the figures above." if found else "Nothing in the figures above gives cause for one.",
            tables=(_list("Beware", found),) if found else (),
        ),
        Section(
            title="Limits",
            intro="What nobody has measured here.",
            tables=(_list("Do not take it for more", limits(result.spec)),),
        ),
        _reproduction(result.spec, provenance),
    ]


def _facts(result: TrainingResult, provenance: Provenance) -> Table:
    spec = result.spec
    rows = result.rows_train + result.rows_test
    label, stopped = spec.label.column, sum(score.stopped for score in result.candidates)
    if spec.task == "binary":
        label += f" = {spec.label.positive_text} in {result.positives:,} rows ({result.positives / rows:.1%})"
    facts: dict[str, object] = {
        "owner": spec.owner,
        "table": f"{spec.table}, version {provenance.table_version}",
        "rows": f"{rows:,}: {result.rows_train:,} to learn from, {result.rows_test:,} held out",
        "label": label,
        "answer": _answer(result),
        "columns": ", ".join(spec.features.columns),
        "split": _said(spec, spec.split.model_dump(exclude_none=True), "split"),
        "folds": _said(spec, spec.folds.model_dump(exclude_none=True), "folds"),
        "search": _search(spec),
        "candidates": f"{len(result.candidates)}" + (f", {stopped} of them given up early" if stopped else ""),
        "winner": str(result.winner.point),
        **({"decision": said_of_decision(result)} if spec.decision is not None else {}),
        "size": "not known" if result.winner.numbers is None else f"{result.winner.numbers:,} numbers",
        "held-out rows": f"fingerprint {result.held_out.fingerprint}",
    }
    return Table("Facts", ("what", "value"), tuple(facts.items()))


def _answer(result: TrainingResult) -> str:
    if result.spec.task == "binary":
        return "the probability of the positive class"
    if result.winner.point.learn == "log":
        return "a number; its logarithm was learned, so it is nearer the median of such rows than their mean"
    return "a number"


def _said(spec: ModelSpec, values: dict[str, object], part: str) -> str:
    kind = {"kind": "stratified" if spec.stratifies(getattr(spec, part)) else "random"}
    return ", ".join(f"{key} {value}" for key, value in (kind | values).items())


def _search(spec: ModelSpec) -> str:
    said = spec.search.kind if spec.search.kind == "grid" else f"{spec.search.kind}, {spec.search.most_trials} trials"
    taken = "the best mean" if spec.select == "best" else "the smallest within one standard error"
    return f"{said}{', halving' if spec.search.halving else ''}; by {METRIC_NAMES[spec.select_by]}, {taken}"


def _metrics(result: TrainingResult) -> Table:
    winner, nested = result.winner, result.nested
    return Table(
        "Metrics",
        (
            "metric",
            "held-out rows",
            "95% from",
            "to",
            "folds: mean",
            "± std",
            *(("nested: mean", "nested: ± std") if nested else ()),
        ),
        tuple(
            (
                METRIC_NAMES[metric],
                rounded(value),
                *_interval(result.test, metric),
                rounded(winner.mean[metric]),
                rounded(winner.std[metric]),
                *((rounded(nested.mean[metric]), rounded(nested.std[metric])) if nested else ()),
            )
            for metric, value in result.test.figures().items()
        ),
    )


def _interval(test: Metrics, metric: Metric) -> tuple[float | None, float | None]:
    found = test.intervals.get(metric)
    return (None, None) if found is None else (rounded(found[0]), rounded(found[1]))


def _list(caption: str, sentences: list[str]) -> Table:
    return Table(caption, ("", "what"), tuple(enumerate(sentences, start=1)))


def _reproduction(spec: ModelSpec, provenance: Provenance) -> Section:
    facts: dict[str, object] = {
        "command": f"lakeloop train {provenance.file} --env {provenance.environment}",
        "declaration": f"conf/<layer>/models/{provenance.file}.yml, {provenance.definition}",
        "table": f"{spec.table}, version {provenance.table_version}",
        "seeds": f"split {spec.split.seed}, folds {spec.folds.seed}, search {spec.search.seed}",
        "software": f"Lakeloop {lakeloop.__version__}, Spark {pyspark.__version__}",
        "run": provenance.run_id,
    }
    return Section(
        title="How to make it again",
        intro="The same declaration on the same version of the table with the same software gives the same model.",
        tables=(Table("Reproduction", ("what", "value"), tuple(facts.items())),),
    )
