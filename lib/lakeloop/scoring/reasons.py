"""Why one row got its answer, without Spark: what each of its columns adds beside the average answer.

The method of `training.interpretation.shapley`, and its figures: Shapley values by chance orders of the columns, each
used in reverse as well (Štrumbelj and Kononenko 2014), over rows of a background.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakeloop.core.errors import ScoringError
from lakeloop.scoring.blocks import Floats
from lakeloop.scoring.scorer import Scorer

DRAWS = 32


@dataclass(frozen=True)
class Reason:
    """What a column adds to the score, in units of the score, and the standard error of that; `value` as given."""

    column: str
    value: Any
    contribution: float
    error: float


@dataclass(frozen=True)
class Explained:
    """The score of a row, the mean score of the background, and the reasons, which add up to their difference."""

    score: float
    mean_score: float
    reasons: tuple[Reason, ...]


def explained(
    scorer: Scorer,
    row: Mapping[str, Any],
    background: pa.Table | Iterable[Mapping[str, Any]],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Explained:
    """A reason for each column that the model reads, the most positive contribution first, ties by column.

    The score is the probability of the positive of two classes, or the predicted number. A column that is missing in
    the row is NULL. Of `background` the first `draws` rows are used; a table is one that `scorer.table` made.
    All 2 * `draws` * (columns - 1) questions are asked at once. `error` is the standard error over the pairs of an
    order and its reverse, 0 of a single pair. The same seed gives the same reasons.
    Raises ScoringError for a background without rows, no draws, several classes, and a value of another kind.
    """
    others = background if isinstance(background, pa.Table) else scorer.table(background)
    others = others.slice(0, max(draws, 0))
    if not others.num_rows:
        raise ScoringError("reasons need a background: at least one row of it, and at least one draw")
    if scorer.task == "multiclass":
        raise ScoringError("reasons are told of a number or of two classes, and this model has several classes")
    scorer.check(row)
    places = orders(len(scorer.columns), draws, seed)
    scores = _path_scores(scorer, pa.concat_tables([others, scorer.table([row])]), places)
    # What a column adds in an order: the score once it is given, less the one before.
    added = np.take_along_axis(np.diff(scores, axis=1), places, axis=1)
    per_pair = (added[:draws] + added[draws:]) / 2
    errors = per_pair.std(axis=0, ddof=1) / np.sqrt(draws) if draws > 1 else np.zeros(len(scorer.columns))
    reasons = [
        Reason(column, row.get(column), contribution, error)
        for column, contribution, error in zip(
            scorer.columns, per_pair.mean(axis=0).tolist(), errors.tolist(), strict=True
        )
    ]
    reasons.sort(key=lambda reason: (-reason.contribution, reason.column))
    return Explained(float(scores[0, -1]), float(scores[:draws, 0].mean()), tuple(reasons))


def orders(columns: int, draws: int, seed: int) -> NDArray[np.int64]:
    """The place of each column in each order: shape (2 * draws, columns), the second half being the first reversed."""
    draw = np.random.default_rng(seed)
    places = np.array([draw.permutation(columns) for _ in range(draws)])
    return np.concatenate([places, columns - 1 - places])


def _path_scores(scorer: Scorer, rows: pa.Table, places: NDArray[np.int64]) -> Floats:
    """The scores of each order, none of the columns given first and all of them last: shape (orders, columns + 1).

    The last of `rows` is the one that is explained; an order and its reverse start from the same one of the others.
    """
    count, columns = places.shape
    one = rows.num_rows - 1
    other = np.arange(count) % (count // 2) % one
    given = np.arange(1, columns)
    # The rows themselves, which are where all orders begin and end, are asked once.
    ends = np.arange(one + 1)
    asked = {}
    for at, name in enumerate(scorer.columns):
        of_row = np.where(places[:, at, np.newaxis] < given, one, other[:, np.newaxis])
        asked[name] = rows.column(name).combine_chunks().take(pa.array(np.concatenate([ends, of_row.ravel()])))
    answers = scorer.score_many(pa.table(asked))
    found = answers.predictions if answers.probabilities is None else answers.probabilities[:, 1]
    between = found[one + 1 :].reshape(count, columns - 1)
    return np.column_stack([found[other], between, np.full(count, found[one])])
