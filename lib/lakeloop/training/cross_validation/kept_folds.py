"""Folds that stay open: their shared stages fitted once, their rows cached, for candidates not yet known."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame

from lakeloop.training.algorithms import LABEL_COL, GridPoint, Space
from lakeloop.training.cross_validation.candidate_scores import shared_stages
from lakeloop.training.cross_validation.stage_tree import Leaf, fit_shared, plant
from lakeloop.training.spec.model import ModelSpec


@dataclass(frozen=True)
class KeptFold:
    """The frames that last stages are fitted and measured on, for each kind of vector that a candidate may want."""

    leaves: Mapping[Space, Leaf]
    seed: int
    key: str

    def leaf(self, point: GridPoint) -> Leaf:
        """The unfitted last stage of a candidate with its frames."""
        return replace(self.leaves[point.on], stage=point.estimator(self.seed, self.key))


@contextmanager
def kept_folds(spec: ModelSpec, folds: Sequence[tuple[DataFrame, DataFrame]]) -> Iterator[list[KeptFold]]:
    """Every fold with its shared stages fitted on its rows to train with, cached till the end of the block.

    All folds are in memory at a time, or where it ends on disk: for k folds k times the vectors of all rows.
    """
    cached: list[DataFrame] = []

    def keep(frame: DataFrame) -> DataFrame:
        cached.append(frame.persist())
        return cached[-1]

    # Rows are cached where candidates part, so two of each entry stand in for all those to come, whatever these fit.
    stand_ins = [GridPoint("decision_tree", {}, entry.on, spec.task) for entry in spec.candidates for _ in range(2)]
    shared = shared_stages(spec, stand_ins, folds[0][0].schema)
    tree = plant([
        [*stages, (number, point.estimator(spec.folds.seed, spec.key))]
        for number, (point, stages) in enumerate(zip(stand_ins, shared, strict=True))
    ])  # fmt: skip
    try:
        yield [
            KeptFold(
                {
                    stand_ins[leaf.candidate].on: leaf
                    for leaf in fit_shared(tree, *rows, frozenset([LABEL_COL, spec.key]), keep)
                },
                spec.folds.seed,
                spec.key,
            )
            for rows in folds
        ]
    finally:
        for frame in cached:
            frame.unpersist()
