"""Shapley values: what each source column adds to one answer of a model, beside the average answer.

Columns are given to the model one after the other, in an order by chance, the others being those of a row drawn from
the background; a column's value is the mean of the change that it makes (Štrumbelj and Kononenko, "Explaining
prediction models and individual predictions with feature contributions", 2014). Each order is used in reverse as well,
which lowers the error. Values of a row add up to its score less the mean score of the background, exactly; where no
columns work together they are exact themselves, else they have the standard error that is told.
"""

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.scoring.reasons import DRAWS, orders
from lakeloop.training.interpretation.what_if import RANK, SCORE, mixed, sample_of, scored
from lakeloop.training.spec.model import ModelSpec


def shapley_values(
    spec: ModelSpec, model: PipelineModel, rows: DataFrame, background: DataFrame, *, draws: int = DRAWS, seed: int = 0
) -> DataFrame:
    """One row per row of `rows` and source column, with what the column adds to the answer.

    Columns: key, `column`, `value`, `contribution`, `error`, `score`, `mean_score`. `value` is the column's as text,
    NULL where it is missing. Contributions are in units of the score: probability of the positive class, or the number.
    `error` is the standard error of the mean over `draws` pairs of orders.
    Each row asks 2 * `draws` * (columns + 1) questions, all of which are scored in one pass, so give it few rows; at
    most `draws` rows of `background` are used, the same ones for every row.
    Raises TrainingError where the background has no row.
    """
    columns = spec.features.columns
    averages = sample_of(spec, background, draws, seed).select(RANK, F.struct(*columns).alias("other"))
    answers = scored(spec, model, _questions(spec, rows, averages, draws, seed)).select(
        spec.key, "_draw", "_given", SCORE
    )
    # The scores of one draw in the order in which columns were given: each column adds what is between two of them.
    per_draw = answers.groupBy(spec.key, "_draw").agg(
        F.expr(f"transform(array_sort(collect_list(struct(_given, {SCORE}))), x -> x.{SCORE})").alias("_scores")
    )
    order = orders(len(columns), draws, seed)
    places = F.array(*(F.array(*(F.lit(int(place)) for place in one)) for one in order))
    place = F.element_at(F.element_at(places, F.col("_draw") + 1), F.col("_column") + 1)
    added = per_draw.select(
        spec.key, "_draw", "_scores", F.explode(F.sequence(F.lit(0), F.lit(len(columns) - 1))).alias("_column")
    ).select(
        spec.key,
        (F.col("_draw") % draws).alias("_pair"),
        "_column",
        (F.element_at("_scores", place + 2) - F.element_at("_scores", place + 1)).alias("_added"),
        F.element_at("_scores", 1).alias("_first"),
        F.element_at("_scores", -1).alias("_last"),
    )
    per_pair = added.groupBy(spec.key, "_column", "_pair").agg(
        F.avg("_added").alias("_added"), F.avg("_first").alias("_first"), F.avg("_last").alias("_last")
    )
    found = per_pair.groupBy(spec.key, "_column").agg(
        F.avg("_added").alias("contribution"),
        (F.coalesce(F.stddev_samp("_added"), F.lit(0.0)) / F.sqrt(F.count("*"))).alias("error"),
        F.avg("_last").alias("score"),
        F.avg("_first").alias("mean_score"),
    )
    named = F.element_at(F.array(*(F.lit(name) for name in columns)), F.col("_column") + 1)
    values = F.array(*(F.col(f"`{name}`").cast("string") for name in columns))
    return found.join(rows.select(spec.key, values.alias("_values")), spec.key).select(
        spec.key,
        named.alias("column"),
        F.element_at("_values", F.col("_column") + 1).alias("value"),
        "contribution",
        "error",
        "score",
        "mean_score",
    )


def _questions(spec: ModelSpec, rows: DataFrame, averages: DataFrame, draws: int, seed: int) -> DataFrame:
    """Each row once per draw and number of columns that are given; `_draw` d and d + `draws` are a pair."""
    columns = spec.features.columns
    order = orders(len(columns), draws, seed)
    total = averages.count()
    one = rows.select(
        spec.key,
        F.struct(*columns).alias("one"),
        F.explode(F.sequence(F.lit(0), F.lit(2 * draws - 1))).alias("_draw"),
    ).select("*", F.explode(F.sequence(F.lit(0), F.lit(len(columns)))).alias("_given"))
    paired = one.join(F.broadcast(averages), F.col("_draw") % draws % total == F.col(RANK))
    places = {
        name: F.element_at(F.array(*(F.lit(int(place)) for place in order[:, index])), F.col("_draw") + 1)
        for index, name in enumerate(columns)
    }
    return paired.select(
        spec.key, "_draw", "_given", *mixed(columns, lambda name: places[name] < F.col("_given"), "one", "other")
    )
