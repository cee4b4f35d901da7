"""Spark's CrossValidator, fitting what candidates share once per fold."""

from collections.abc import Callable
from math import ceil

import numpy as np
from pyspark import StorageLevel
from pyspark.ml import Model, PipelineModel
from pyspark.ml.tuning import CrossValidator, CrossValidatorModel, CrossValidatorReader
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.training.cross_validation.fold_fits import fit_folds
from lakeloop.training.cross_validation.stage_tree import Leaf, grow, named_columns

ROWS_PER_PARTITION = 50_000
Progress = Callable[[int, int, str], None]


def _silent(done: int, total: int, text: str) -> None:
    """Tell nobody."""


class SharingCrossValidator(CrossValidator):
    """`pyspark.ml.tuning.CrossValidator` with the same parameters, the same folds, the same result, at less cost.

    Stages that candidates have in common are fitted once per fold, and never on rows that it measures. Rows are cached
    once per fold, in few partitions, where the candidates part; `parallelism` last stages are fitted at a time, while
    the shared stages of the next fold are. `foldCol` is a whole number from 0 to `numFolds` - 1; a row without one
    trains and measures nothing, as in Spark. `progress(done, total, text)` is called after each fit.

    Raises TrainingError where `foldCol` lacks one of the folds or has a number out of range.
    """

    progress: Callable[[int, int, str], None] = staticmethod(_silent)

    def _fit(self, dataset: DataFrame) -> CrossValidatorModel:
        estimator, grid, evaluator = self.getEstimator(), self.getEstimatorParamMaps(), self.getEvaluator()
        keeps_models, total = self.getCollectSubModels(), self.getNumFolds() * len(grid) + 1
        done = iter(range(1, total))

        def measure(leaf: Leaf) -> tuple[float, Model]:
            model, said = leaf.fit()
            metric = float(evaluator.evaluate(said))
            return metric, PipelineModel([*leaf.fitted, model])

        def tell(fold: int, candidate: int) -> None:
            self.progress(next(done), total, f"fold {fold + 1}/{self.getNumFolds()}, candidate {candidate + 1}")

        is_ours = dataset.storageLevel == StorageLevel.NONE
        rows = dataset.persist() if is_ours else dataset
        try:
            measured = fit_folds(
                grow(estimator, grid),
                self._folds(rows),
                measure,
                columns=named_columns(evaluator),
                partitions=max(1, ceil(rows.count() / ROWS_PER_PARTITION)),
                parallelism=self.getParallelism(),
                told=tell,
            )
            metrics = np.array([[fold[at][0] for at in range(len(grid))] for fold in measured])
            mean, deviation = metrics.mean(axis=0).tolist(), metrics.std(axis=0).tolist()
            best = int(np.argmax(mean) if evaluator.isLargerBetter() else np.argmin(mean))
            model = estimator.fit(rows, grid[best])
        finally:
            if is_ours:
                rows.unpersist()
        self.progress(total, total, f"best: candidate {best + 1}")
        models = [[fold[at][1] for at in range(len(grid))] for fold in measured] if keeps_models else None
        return self._copyValues(CrossValidatorModel(model, mean, models, deviation))

    def _folds(self, dataset: DataFrame) -> list[tuple[DataFrame, DataFrame]]:
        fold_col, count = self.getFoldCol(), self.getNumFolds()
        if not fold_col:
            return self._kFold(dataset)
        fold = F.col(fold_col)
        found = [row[0] for row in dataset.select(fold).distinct().collect()]
        wrong = sorted(str(number) for number in found if number is not None and not 0 <= number < count)
        empty = [str(number) for number in range(count) if number not in found]
        if wrong or empty:
            said = f"{', '.join(wrong)} in it" if wrong else f"no row of {', '.join(empty)}"
            raise TrainingError(
                f"cross-validation: fold column '{fold_col}' has {said}; numFolds {count} needs 0 to {count - 1}"
            )
        return [(dataset.where(fold != number), dataset.where(fold == number)) for number in range(count)]

    @classmethod
    def read(cls) -> CrossValidatorReader:
        """A reader of what `save` wrote, which Spark's CrossValidator reads as well."""
        return _Reader(CrossValidator)


class _Reader(CrossValidatorReader):
    def load(self, path: str) -> SharingCrossValidator:
        plain = super().load(path)
        loaded: SharingCrossValidator = plain._copyValues(SharingCrossValidator())
        return loaded._resetUid(plain.uid)
