"""What must hold of folds before anything is fitted on them."""

from collections import Counter

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.training.algorithms import FOLD_COL, LABEL_COL
from lakeloop.training.spec.model import ModelSpec


def check_folds(spec: ModelSpec, rows: DataFrame) -> None:
    """Raise TrainingError for a fold whose rows to train with, or to measure on, are all of one class.

    Counts rows once, and only where folds could be so: stratified ones have both classes (`take_census` sees to it).
    """
    if spec.task == "regression" or spec.stratifies(spec.folds):
        return
    dealt = [
        F.struct(F.lit(repeat).alias("repeat"), F.col(f"{FOLD_COL}_{repeat}").alias("fold"))
        for repeat in range(spec.folds.repeats)
    ]
    counted = rows.select(F.explode(F.array(*dealt)).alias("at"), LABEL_COL).groupBy("at.repeat", "at.fold", LABEL_COL)
    found: Counter[tuple[int, int | None, float]] = Counter()
    for row in counted.count().collect():
        found[row["repeat"], row["fold"], row[LABEL_COL]] = row["count"]
    by_time = spec.folds.kind == "time"
    for repeat in range(spec.folds.repeats):
        of = {(fold, label): count for (at, fold, label), count in found.items() if at == repeat}
        for fold in range(by_time, spec.folds.count + by_time):
            earlier = {at for at, _ in of if at is not None and (at < fold if by_time else at != fold)}
            for use, blocks in (("measure on", {fold}), ("train with", earlier)):
                classes = {label: sum(of.get((at, label), 0) for at in blocks) for label in (1.0, 0.0)}
                _require_both(spec, fold - by_time + 1, use, classes)


def _require_both(spec: ModelSpec, fold: int, use: str, classes: dict[float, int]) -> None:
    for label, name in ((1.0, "positive"), (0.0, "negative")):
        if not classes[label]:
            raise TrainingError(
                f"model {spec.model}: fold {fold} of {spec.folds.count} has {sum(classes.values())} rows to {use}, "
                f"none of them {name}; lower folds.count, or say kind: stratified where rows need not stay together"
            )
