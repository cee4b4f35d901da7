"""What to beware of in a model, read off its figures, and what its figures cannot say."""

from collections.abc import Iterator

from lakeloop.reports.model_names import METRIC_NAMES
from lakeloop.training.metrics.binary import BinaryMetrics
from lakeloop.training.metrics.names import loss
from lakeloop.training.spec.model import ModelSpec
from lakeloop.training.train import TrainingResult

FEW_ROWS = 100
RARE = 0.1
DOMINANT = 0.8


def warnings(result: TrainingResult) -> list[str]:
    """A sentence for each thing that a careful reader of the figures would object to."""
    return [*result.warnings, *_of_rows(result), *_of_choice(result), *_of_importance(result)]


def limits(spec: ModelSpec) -> list[str]:
    """What cross-validation and held-out rows do not show, whatever the figures."""
    said = [
        f"It knows the rows of {spec.table} as they were; of other times, places or populations nothing was measured.",
        "Importance says what the model uses, not what causes the answer.",
        "A category that was not there in training counts as none of those that were.",
    ]
    if "time" not in (spec.split.kind, spec.folds.kind):
        said.append("Rows were held out regardless of time, so how it does on later rows was not measured.")
    if spec.task == "binary" and (spec.decision is None or spec.decision.threshold == 0.5):
        said.append(
            "Accuracy, precision, recall and F1 hold for the threshold 0.5, which nobody weighed against costs."
        )
    return said


def _of_rows(result: TrainingResult) -> Iterator[str]:
    test = result.test
    if test.rows < FEW_ROWS:
        yield f"Only {test.rows:,} rows were held out: the metrics may be far off."
    if not isinstance(test, BinaryMetrics):
        return
    rare = min(test.positives, test.rows - test.positives)
    if rare < FEW_ROWS:
        yield f"The rarer class has {rare:,} held-out rows: its metrics may be far off."
    if rare / test.rows < RARE:
        yield (
            f"The rarer class is {rare / test.rows:.1%} of the held-out rows: accuracy says little, "
            "average precision more."
        )
    if not test.true_positives + test.false_positives:
        yield "At its threshold no held-out row is called positive."


def _of_choice(result: TrainingResult) -> Iterator[str]:
    metric, winner, alike = result.comparison.metric, result.winner, result.comparison.alike
    name = METRIC_NAMES[metric]
    if alike:
        others = "1 other candidate" if alike == 1 else f"{alike} other candidates"
        yield f"The folds cannot tell the best from {others}: another split might have chosen otherwise."
    if len(winner.folds) < 2:
        return
    mean, deviation = winner.mean[metric], winner.std[metric]
    shortfall = loss(metric, result.test.figures()[metric]) - loss(metric, mean)
    if shortfall > 2 * deviation:
        yield (
            f"On held-out rows {name} is {result.test.figures()[metric]:.4f}, more than two deviations worse than over "
            f"the folds ({mean:.4f} ± {deviation:.4f})."
        )
    if result.nested is not None and loss(metric, result.nested.mean[metric]) - loss(metric, mean) > deviation:
        yield (
            f"Nested cross-validation gives {name} {result.nested.mean[metric]:.4f}, more than one deviation worse "
            f"than the winner's mean {mean:.4f}: the search fits the folds."
        )


def _of_importance(result: TrainingResult) -> Iterator[str]:
    for column, share in result.importance.items():
        if share > DOMINANT:
            yield f"{column} alone makes {share:.0%} of the importance: see that it is known before the answer is."
