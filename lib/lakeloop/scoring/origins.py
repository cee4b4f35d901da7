"""From the splits of trees and the limits of buckets back to numbers of the table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakeloop.scoring.scorer import Scorer
from lakeloop.scoring.stages.scalars import Bucket, Expressions, Impute
from lakeloop.scoring.stages.trees import BoostedClassifier, ForestClassifier, TreesNumber
from lakeloop.scoring.stages.vectors import Assemble, Choose, OneHot, Scale


@dataclass(frozen=True)
class Boundary:
    """A number of a column at which the answer may change."""

    column: str
    value: float


def boundaries_of(scorer: Scorer) -> list[Boundary]:
    """The boundaries whose column can be told, each once, in the order of columns and numbers."""
    found = {*_of_trees(scorer), *_of_buckets(scorer)}
    return sorted(found, key=lambda boundary: (boundary.column, boundary.value))


def _of_buckets(scorer: Scorer) -> Iterator[Boundary]:
    for stage in scorer.stages:
        if isinstance(stage, Bucket):
            for source, splits in zip(stage.inputs, stage.splits, strict=True):
                column = _number_behind(scorer, source)
                if column is not None:
                    yield from (Boundary(column, split) for split in splits)


def _of_trees(scorer: Scorer) -> Iterator[Boundary]:
    for stage in scorer.stages:
        if isinstance(stage, ForestClassifier | BoostedClassifier | TreesNumber):
            trees = stage.trees
            splits = {
                (int(slot), float(threshold))
                for slot, threshold, of_set in zip(trees.slots, trees.thresholds, trees.sets, strict=True)
                if slot >= 0 and of_set < 0
            }
            for slot, threshold in splits:
                if (boundary := _behind(scorer, stage.features, slot, threshold)) is not None:
                    yield boundary


def _behind(scorer: Scorer, vector: str, slot: int, value: float) -> Boundary | None:
    """The number of the table at which a slot of a vector has a value; None where it is no number of the table."""
    stage = _maker(scorer.stages, vector)
    if isinstance(stage, Scale):
        factor = float(stage.factors[slot])
        if factor == 0:
            return None
        return _behind(scorer, stage.input, slot, (value - stage.offset) / factor + float(stage.shifts[slot]))
    if isinstance(stage, Choose):
        return _behind(scorer, stage.input, int(stage.places[slot]), value)
    if isinstance(stage, Assemble):
        for name in stage.inputs:
            size = _size(scorer, name)
            if slot < size:
                column = _number_behind(scorer, name)
                return None if column is None else Boundary(column, value)
            slot -= size
    return None


def _size(scorer: Scorer, name: str) -> int:
    stage = _maker(scorer.stages, name)
    return stage.sizes[stage.outputs.index(name)] if isinstance(stage, OneHot) else 1


def _number_behind(scorer: Scorer, name: str) -> str | None:
    """The numeric column of the table that a scalar column is made of alone."""
    while name not in scorer.columns:
        stage = _maker(scorer.stages, name)
        if isinstance(stage, Impute):
            name = stage.inputs[stage.outputs.index(name)]
        elif isinstance(stage, Expressions) and len(columns := set(_columns(stage.made[name]))) == 1:
            (name,) = columns
        else:
            return None
    return None if scorer.columns[name] in ("string", "boolean", "date", "timestamp", "timestamp_ntz") else name


def _columns(tree: Any) -> Iterator[str]:
    if isinstance(tree, list) and tree and tree[0] == "column":
        yield tree[1]
    elif isinstance(tree, list):
        for part in tree:
            yield from _columns(part)


def _maker(stages: Sequence[Any], name: str) -> Any:
    for stage in stages:
        outputs: Any = (
            getattr(stage, "outputs", None) or getattr(stage, "made", None) or [getattr(stage, "output", None)]
        )
        if isinstance(outputs, Mapping | list) and name in outputs:
            return stage
    return None
