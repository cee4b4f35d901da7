"""Sections on a model: how the candidates compared, how good the champion is, what it looks at and what it scored."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lakeloop.reports.charts import ACCENT, horizontal_bars, points_and_means
from lakeloop.reports.model_charts import (
    confusion_matrix,
    error_histogram,
    lift_curve,
    precision_recall_curve,
    predictions_by_label,
    reliability_curve,
    roc_curve,
    score_histogram,
)
from lakeloop.reports.model_names import METRIC_NAMES, metrics_shown
from lakeloop.reports.model_slices import slice_tables
from lakeloop.reports.page import Card, Chart, Section, Table, Verdict, rounded
from lakeloop.training.metrics.binary import BinaryMetrics
from lakeloop.training.metrics.intervals import Interval
from lakeloop.training.metrics.measuring import Metrics, SliceMetrics
from lakeloop.training.metrics.names import LOWER_IS_BETTER, Metric
from lakeloop.training.metrics.regression import RegressionMetrics
from lakeloop.training.train import TrainingResult

TOP_COLUMNS = 15


def comparison_section(result: TrainingResult, previous_champion: Metrics | None) -> Section:
    """Every candidate, best first, over the folds; `previous_champion` was measured on the same held-out rows."""
    metric, winner = result.spec.select_by, result.winner
    name, others = METRIC_NAMES[metric], metrics_shown(winner.mean, metric)[1:]
    ranked = list(enumerate(result.candidates, start=1))
    folds = points_and_means(
        [f"{rank}. {score.point}" for rank, score in ranked],
        [[fold[metric] for fold in score.folds] for _, score in ranked],
        axis_title=name,
    )
    candidates = Table(
        "Candidates, best first: means over the folds that they were fitted on",
        ("rank", "candidate", name, "± std", *(METRIC_NAMES[other] for other in others), "folds", "fit seconds"),
        tuple(
            (
                rank,
                str(score.point),
                score.mean[metric],
                score.std[metric] if len(score.folds) > 1 else None,
                *(rounded(score.mean[other]) for other in others),
                len(score.folds),
                round(score.seconds, 1),
            )
            for rank, score in ranked
        ),
    )
    return Section(
        title="Candidates",
        intro=f"{_tried(result)} of {result.rows_train:,} rows. "
        f"{winner.point} {_standing(result)} {name}: {winner.mean[metric]:.4f} ± {winner.std[metric]:.4f}.",
        verdict=_improvement(metric, result.test, previous_champion) if previous_champion else None,
        charts=(Chart(f"Every fold: {name}", folds),),
        tables=(candidates, _champions(result.test, previous_champion)) if previous_champion else (candidates,),
    )


def _tried(result: TrainingResult) -> str:
    stopped = [len(score.folds) for score in result.candidates if score.stopped]
    folds, count = len(result.winner.folds), len(result.candidates)
    if not stopped:
        return f"{count} candidates, each fitted on {folds} folds"
    after = ", ".join(f"{stopped.count(seen)} after {seen}" for seen in sorted(set(stopped)))
    left = count - len(stopped)
    return f"{count} candidates, of which {left} were fitted on all {folds} folds and the others given up ({after})"


def _standing(result: TrainingResult) -> str:
    best = result.candidates[0]
    if result.winner is best:
        return "has the best mean"
    return f"is the smallest within one standard error of {best.point}, by the mean"


def quality_section(test: Metrics, slices: Sequence[SliceMetrics] = ()) -> Section:
    """The metrics of a model on rows that it never saw, with 95 % intervals, and those of the slices of these rows."""
    section = _regression_section(test) if isinstance(test, RegressionMetrics) else _binary_section(test)
    return replace(section, tables=slice_tables(slices))


def _regression_section(test: RegressionMetrics) -> Section:
    return Section(
        title="Quality on held-out rows",
        intro=f"{test.rows:,} rows that no candidate has seen. The charts show {len(test.shown):,} of them.",
        cards=tuple(
            Card(METRIC_NAMES[metric], _figure_text(value, 4), _interval_text(test.intervals.get(metric)))
            for metric, value in test.figures().items()
        ),
        charts=(Chart("Prediction and label", predictions_by_label(test)), Chart("Errors", error_histogram(test)))
        if test.shown
        else (),
    )


def _binary_section(test: BinaryMetrics) -> Section:
    return Section(
        title="Quality on held-out rows",
        intro=f"{test.rows:,} rows that no candidate has seen, {test.positives:,} of them positive "
        f"({test.positives / test.rows:.1%}). Accuracy, precision, recall, F, correlation and cost "
        f"hold for the threshold {test.threshold:g}: rows with higher scores are called positive. F-beta counts recall "
        f"{test.beta:g} times, lift looks at the {test.top:.0%} of the rows with the highest scores.",
        cards=tuple(
            Card(METRIC_NAMES[metric], f"{value:.4f}", _interval_text(test.intervals.get(metric)))
            for metric, value in test.figures().items()
        ),
        charts=(
            Chart("ROC curve", roc_curve(test)),
            Chart("Precision and recall", precision_recall_curve(test)),
            Chart(f"Confusion matrix at the threshold {test.threshold:g}", confusion_matrix(test)),
            Chart("Calibration: are scores probabilities?", reliability_curve({"model": test})),
            Chart("Lift: positives among the highest scores, beside rows by chance", lift_curve(test)),
        ),
    )


def importance_section(importance: Mapping[str, float]) -> Section:
    """The share of each source column in the model's decisions, the largest ones as bars."""
    ranked = sorted(importance.items(), key=lambda item: -item[1])
    top = dict(ranked[:TOP_COLUMNS])
    rest = sum(share for _, share in ranked[TOP_COLUMNS:])
    left_out = (
        f" The {len(ranked) - len(top)} columns not shown add up to {rest:.1%}." if len(ranked) > len(top) else ""
    )
    bars = horizontal_bars(list(top), {"share": list(top.values())}, {"share": ACCENT}, "share of importance", ".1%")
    return Section(
        title="What the model looks at",
        intro=f"How much the model uses each column, in shares of 100%; not in which direction.{left_out}",
        charts=(Chart("Importance of source columns", bars),) if top else (),
    )


def scores_section(histogram: Sequence[tuple[float, float, int]], examples: Sequence[Mapping[str, object]]) -> Section:
    """How scores spread over [0, 1], as (lower, upper, rows) per bin, and the rows with the highest scores."""
    rows = sum(count for *_, count in histogram)
    return Section(
        title="Scores",
        intro=f"{rows:,} rows were scored; a score is the estimated probability of the positive class.",
        charts=(Chart("Rows by score", score_histogram(histogram)),) if rows else (),
        tables=(Table.of("Highest scores", examples, empty="No row was scored."),),
    )


def _champions(test: Metrics, previous: Metrics) -> Table:
    now, before = test.figures(), previous.figures()
    return Table(
        "On the same held-out rows",
        ("metric", "champion so far", "this model", "change"),
        tuple(
            (METRIC_NAMES[name], rounded(before[name]), rounded(now[name]), _change(_gain(name, test, previous)))
            for name in now
            if name in before
        ),
    )


def _improvement(metric: Metric, test: Metrics, previous: Metrics) -> Verdict:
    now, before = test.figures()[metric], previous.figures()[metric]
    gain = _gain(metric, test, previous)
    return Verdict(
        f"On the held-out rows {METRIC_NAMES[metric]} is {_figure_text(now, 4)}, {_change(gain)} than before "
        f"({_figure_text(before, 4)}).",
        holds=gain >= 0,
    )


def _gain(metric: Metric, test: Metrics, previous: Metrics) -> float:
    difference = test.figures()[metric] - previous.figures()[metric]
    return -difference if metric in LOWER_IS_BETTER else difference


def _change(gain: float) -> str:
    return f"{_figure_text(abs(gain), 4)} {'better' if gain > 0 else 'worse'}" if gain else "not different"


def _interval_text(interval: Interval | None) -> str:
    return f"95%: {_figure_text(interval[0], 3)} to {_figure_text(interval[1], 3)}" if interval else ""


def _figure_text(value: float, decimals: int) -> str:
    shown = rounded(value)
    return f"{shown:,.{decimals}f}" if isinstance(shown, float) else f"{shown:,}"
