"""What is told about a fitted model: what it looks at, how its answers move, and why some rows got theirs."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.training.interpretation.coefficients import Coefficient, coefficients, effect_of
from lakeloop.training.interpretation.partial_dependence import Dependence, partial_dependence
from lakeloop.training.interpretation.permutation import Permuted, permutation_importance
from lakeloop.training.interpretation.shapley import shapley_values
from lakeloop.training.interpretation.what_if import SCORE, sample_of, scored
from lakeloop.training.spec.model import ModelSpec

ROWS, SHOWN_COLUMNS = 200, 6


@dataclass(frozen=True)
class Explanation:
    """What is told about a model.

    `permuted`: source columns, the most important first. `dependence`: of the first of them that are no texts.
    `values`: one row per explained row and column, as `shapley_values` gives them. `coefficients`: of a linear model,
    in units of the table; they add to `effect`.
    """

    spec: ModelSpec
    permuted: tuple[Permuted, ...]
    dependence: tuple[Dependence, ...]
    values: pd.DataFrame
    coefficients: tuple[Coefficient, ...]
    effect: str

    @property
    def mean_score(self) -> float:
        """The mean answer that contributions start from."""
        return float(self.values["mean_score"].iloc[0])

    def segments(self) -> pd.DataFrame:
        """Explained rows by the column that adds most to their score: `column`, `rows`, `score` and `contribution`."""
        main = self.values.loc[self.values.groupby(self.spec.key)["contribution"].idxmax()]
        grouped = main.groupby("column").agg(
            rows=("score", "size"), score=("score", "mean"), contribution=("contribution", "mean")
        )
        return grouped.sort_values(["rows", "score"], ascending=False).reset_index()


def explain(
    spec: ModelSpec,
    model: PipelineModel,
    frame: DataFrame,
    held_out: DataFrame,
    progress: Callable[[str], None],
    *,
    rows: int = ROWS,
) -> Explanation:
    """Explain a model of `frame`: over the rows of `held_out`, which have `_label`, and for single ones.

    Single rows are the `rows` with the highest probability, or for a regression as many by chance. Their reasons start
    from the mean answer over some held-out rows. Raises TrainingError where there is no row.
    """
    # Each method draws from the held-out rows, and the chosen ones are read twice: neither is worked out again.
    held_out, chosen = held_out.persist(), _chosen(spec, model, frame, rows).persist()
    try:
        progress("what each column is worth")
        permuted = permutation_importance(spec, model, held_out)
        progress("how answers move with a value")
        # A document is a value of its own: to give it to other rows says nothing.
        shown = [each.column for each in permuted if each.column not in spec.features.text][:SHOWN_COLUMNS]
        dependence = partial_dependence(spec, model, held_out, shown) if shown else ()
        progress(f"why {rows} rows got their scores")
        values = shapley_values(spec, model, chosen, held_out).toPandas()
        per_unit = coefficients(spec, model, held_out)
    finally:
        held_out.unpersist()
        chosen.unpersist()
    return Explanation(spec, permuted, dependence, values, per_unit, effect_of(spec, model))


def _chosen(spec: ModelSpec, model: PipelineModel, frame: DataFrame, rows: int) -> DataFrame:
    if spec.task == "regression":
        return sample_of(spec, frame, rows, spec.split.seed)
    answered = scored(spec, model, frame.select(spec.key, *spec.features.columns))
    return answered.orderBy(F.desc(SCORE), spec.key).limit(rows).drop(SCORE)
