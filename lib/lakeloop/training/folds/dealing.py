"""Rows dealt out as a model file says."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.training.algorithms import FOLD_COL, LABEL_COL
from lakeloop.training.folds.assigning import assign_folds, assign_group_folds, split_by_group, split_train_test
from lakeloop.training.folds.time_blocks import assign_time_blocks, split_by_time
from lakeloop.training.spec.model import ModelSpec


def hold_out(spec: ModelSpec, frame: DataFrame) -> tuple[DataFrame, DataFrame]:
    """The rows to train with, and those that the champion is measured on once."""
    split = spec.split
    if split.kind == "time":
        return split_by_time(frame, str(split.by), split.test)
    if split.kind == "group":
        return split_by_group(frame, str(split.by), split.test, split.seed)
    stratum = spec.label.column if spec.stratifies(split) else None
    return split_train_test(frame, spec.key, split.test, split.seed, stratify_by=stratum)


def deal_folds(spec: ModelSpec, rows: DataFrame) -> DataFrame:
    """Add `_fold_0` on, one for each repeat: the fold of each row, or its block in time, of which one more."""
    folds = spec.folds
    for repeat in range(folds.repeats):
        name, seed = f"{FOLD_COL}_{repeat}", folds.seed + repeat
        if folds.kind == "time":
            rows = assign_time_blocks(rows, str(folds.by), folds.count + 1, block_col=name)
        elif folds.kind == "group":
            rows = assign_group_folds(rows, str(folds.by), folds.count, seed, fold_col=name)
        else:
            stratum = LABEL_COL if spec.stratifies(folds) else None
            rows = assign_folds(rows, spec.key, folds.count, seed, stratify_by=stratum, fold_col=name)
    return rows


def folds_of(spec: ModelSpec, rows: DataFrame) -> list[tuple[DataFrame, DataFrame]]:
    """The rows to train with and to measure on, fold by fold, repeat by repeat."""
    if spec.folds.kind == "time":
        block = F.col(f"{FOLD_COL}_0")
        return [(rows.where(block < fold), rows.where(block == fold)) for fold in range(1, spec.folds.count + 1)]
    in_fold = [F.col(f"{FOLD_COL}_{repeat}") for repeat in range(spec.folds.repeats)]
    return [
        (rows.where(dealt != fold), rows.where(dealt == fold)) for dealt in in_fold for fold in range(spec.folds.count)
    ]
