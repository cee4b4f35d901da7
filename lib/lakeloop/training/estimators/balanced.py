"""An estimator that learns from both classes alike, however few the positive rows are."""

from typing import Any, Literal

from pyspark.ml import Estimator
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import HasFeaturesCol, HasLabelCol
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError

Balance = Literal["weights", "oversample", "undersample"]
WEIGHT_COL = "_weight"
STEPS = 1 << 31


class Balanced(Estimator[Any], HasFeaturesCol, HasLabelCol):
    """Fits another estimator on the rows that it is given, so that both classes count the same in sum.

    `weights` gives each row n / (2 * rows of its class), as scikit-learn's `balanced` does. `oversample` repeats each
    row of the smaller class as often as it goes, and once more the share of rows that is left over; `undersample` keeps
    a share of the larger one. Which rows these are depends on a hash of seed and key, so not on order or partitions;
    the classes then are as large as each other but for what is by chance. Leaves the estimator's own model.

    Probabilities are then those of a table in which both classes are as frequent: their order holds, their size does
    not, until they are calibrated (Dal Pozzolo et al. 2015, "Calibrating Probability with Undersampling").
    """

    keyCol: Param[str] = Param(  # noqa: N815 (named as Spark names the parameters that are columns)
        Params._dummy(), "keyCol", "column that identifies a row", TypeConverters.toString
    )

    def __init__(self, estimator: Estimator[Any], balance: Balance, key: str | None, seed: int) -> None:
        super().__init__()
        if key is None:
            raise ValueError("a balanced estimator needs the column of the key")
        self.estimator, self.balance, self.seed = estimator, balance, seed
        columns = {name: estimator.getOrDefault(name) for name in ("featuresCol", "labelCol")}
        self._set(keyCol=key, **columns)

    def _fit(self, dataset: DataFrame) -> Any:
        label = F.col(self.getLabelCol())
        counts = {row[0]: row[1] for row in dataset.groupBy(label).count().collect()}
        if len(counts) != 2:
            found = ", ".join(f"{rows} of {value}" for value, rows in counts.items()) or "none"
            raise TrainingError(f"balance needs rows of both classes to learn from, found {found}; say fewer folds")
        smaller, larger = sorted(counts, key=lambda value: (counts[value], value))
        if self.balance == "weights":
            rows = counts[smaller] + counts[larger]
            weight = F.when(label == smaller, rows / (2 * counts[smaller])).otherwise(rows / (2 * counts[larger]))
            weighted = {self.estimator.getParam("weightCol"): WEIGHT_COL}
            return self.estimator.fit(dataset.withColumn(WEIGHT_COL, weight), weighted)
        if self.balance == "undersample":
            kept = (label == smaller) | (self._chance() < counts[smaller] / counts[larger])
            return self.estimator.fit(dataset.where(kept))
        whole, left = divmod(counts[larger], counts[smaller])
        copies = F.when(self._chance() < left / counts[smaller], whole + 1).otherwise(whole)
        times = F.explode(F.array_repeat(F.lit(0), F.when(label == smaller, copies).otherwise(1).cast("int")))
        return self.estimator.fit(dataset.select("*", times.alias("_copy")).drop("_copy"))

    def _chance(self) -> Column:
        """A number in [0, 1) that is a row's own, independent of the hash that deals out folds."""
        key = F.col(self.getOrDefault(self.keyCol)).cast("string")
        return F.pmod(F.xxhash64(F.lit("balance"), F.lit(self.seed), key), F.lit(STEPS)) / STEPS
