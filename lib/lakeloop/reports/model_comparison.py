"""Sections on the choice of a model: what the folds can tell apart, what quality costs, and the nested estimate."""

from lakeloop.reports.comparison_charts import means_and_intervals, quality_by_size
from lakeloop.reports.model_names import METRIC_NAMES, metrics_shown
from lakeloop.reports.page import Chart, Section, Table
from lakeloop.training.comparison.comparing import Compared, Comparison
from lakeloop.training.nested import NestedEstimate
from lakeloop.training.train import TrainingResult

SHOWN = 30


def choice_section(result: TrainingResult) -> Section:
    """Every candidate beside the best one: difference, interval, p value, verdict, speed and size."""
    comparison, metric = result.comparison, result.comparison.metric
    name, shown = METRIC_NAMES[metric], result.comparison.candidates[:SHOWN]
    winner = next(at for at, each in enumerate(comparison.candidates) if each.score is result.winner)
    weighed = {
        rank: each
        for rank, each in enumerate(comparison.candidates, start=1)
        if not each.score.stopped and each.score.numbers is not None and each.score.scoring_seconds is not None
    }
    charts = [
        Chart(f"Mean over the folds, with its 95% interval: {name}", means_and_intervals(shown, metric, name, winner))
    ]
    if weighed:
        charts.append(Chart("Quality, size and speed", quality_by_size(weighed, metric, name)))
    return Section(
        title="What the folds can tell apart",
        intro=f"{said_of_choice(result)} Corrected resampled t-tests over the same folds (Nadeau & Bengio 2003), "
        "p values corrected for their number (Holm). The best one was found on these folds, which flatters it. "
        "Seconds are those of scoring 1,000 rows whose vectors are ready; size is in numbers held: coefficients, or of "
        "trees two a split and one a leaf.",
        charts=tuple(charts),
        tables=(choice_table(comparison),),
    )


def choice_table(comparison: Comparison) -> Table:
    """A row per candidate, best first."""
    return Table(
        "Beside the best",
        (
            "candidate",
            "mean",
            "difference",
            "95% from",
            "to",
            "p",
            "seconds per 1,000 rows",
            "size",
            "front",
            "verdict",
        ),
        tuple(_line(each, comparison) for each in comparison.candidates),
    )


def said_of_choice(result: TrainingResult) -> str:
    """Which candidate was taken and how sure that is, in a sentence or two."""
    comparison = result.comparison
    best, alike = comparison.candidates[0].score, comparison.alike
    taken = (
        f"{best.point} has the best mean and was taken."
        if result.winner is best
        else f"{best.point} has the best mean; {result.winner.point} was taken, the smallest within one standard error."
    )
    if len(comparison.candidates) == 1:
        return f"{taken} There was no other."
    others = "1 other candidate cannot" if alike == 1 else f"{alike} other candidates cannot"
    return (
        f"{taken} {others} be told apart from the best." if alike else f"{taken} It can be told apart from all others."
    )


def nested_section(nested: NestedEstimate, result: TrainingResult) -> Section:
    """The estimate of the whole procedure beside the winner's own mean."""
    metric = result.comparison.metric
    name, mean, deviation = METRIC_NAMES[metric], nested.mean[metric], nested.std[metric]
    shown = metrics_shown(nested.mean, metric)
    return Section(
        title="How good the procedure is",
        intro=f"Nested cross-validation: search, choice and fit were done anew for each of {len(nested.folds)} outer "
        f"folds, without its rows. By {name} it is {mean:.4f} ± {deviation:.4f}; the winner's own mean, which its "
        f"choice flatters, is {result.winner.mean[metric]:.4f}.",
        tables=(
            Table(
                "Outer folds",
                ("outer fold", "winner", "rows", *(METRIC_NAMES[each] for each in shown)),
                tuple(
                    (number, str(fold.winner), fold.metrics.rows, *(fold.metrics.figures()[each] for each in shown))
                    for number, fold in enumerate(nested.folds, start=1)
                ),
                ("mean", "", sum(fold.metrics.rows for fold in nested.folds), *(nested.mean[each] for each in shown)),
            ),
        ),
    )


def _line(each: Compared, comparison: Comparison) -> tuple[object, ...]:
    test, score = each.test, each.score
    return (
        str(score.point),
        score.mean[comparison.metric],
        None if test is None else test.effect,
        None if test is None else test.interval[0],
        None if test is None else test.interval[1],
        each.p,
        score.scoring_seconds,
        score.numbers,
        "yes" if each.is_on_front else "",
        each.verdict,
    )
