"""Pipelines that begin alike, as a tree of stages: what they share is fitted once, what differs once each.

Twelve candidates that differ in the regularisation of their last stage share an indexer, an encoder, a scaler and
principal components: one branch with twelve leaves. Those that try two numbers of components share all up to the PCA.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyspark.ml import Estimator, Model, Pipeline, Transformer
from pyspark.ml.param import Param, Params
from pyspark.sql import DataFrame

Stage = Estimator[Any] | Transformer
Grid = dict[Param[Any], Any]


@dataclass(frozen=True)
class Leaf:
    """The last stage of a candidate, the frames it is fitted and measured on, and the fitted stages before it."""

    candidate: int
    stage: Stage
    train: DataFrame
    validation: DataFrame
    fitted: tuple[Transformer, ...]

    def fit(self) -> tuple[Transformer, DataFrame]:
        """The fitted stage and what it says of the rows to be measured."""
        model = _fit(self.stage, self.train)
        return model, model.transform(self.validation)


@dataclass
class Branch:
    """A stage that some candidates have in common, and how they go on; `ends` are those of which it is the last one."""

    stage: Stage
    key: Hashable
    children: list["Branch"] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def stages(self) -> Iterator[Stage]:
        """This one and all after it."""
        yield self.stage
        for child in self.children:
            yield from child.stages()


def grow(estimator: Estimator[Any], grid: Sequence[Grid]) -> list[Branch]:
    """The tree of an estimator under each set of parameters; stages are alike where these set the same for them."""
    return plant([[(_key(stage, params), stage) for stage in _flat(estimator.copy(params))] for params in grid])


def plant(candidates: Iterable[Sequence[tuple[Hashable, Stage]]]) -> list[Branch]:
    """The tree of candidates, each a list of stages with keys; lists are one as far as their keys are alike."""
    roots: list[Branch] = []
    last: Branch | None
    for number, stages in enumerate(candidates):
        at, last = roots, None
        for key, stage in stages:
            last = next((branch for branch in at if branch.key == key), None)
            if last is None:
                last = Branch(stage, key)
                at.append(last)
            at = last.children
        if last is not None:
            last.ends.append(number)
    return roots


def fit_shared(
    branches: Sequence[Branch],
    train: DataFrame,
    validation: DataFrame,
    columns: frozenset[str],
    cached: Callable[[DataFrame], DataFrame],
    fitted: tuple[Transformer, ...] = (),
) -> Iterator[Leaf]:
    """Fit what candidates share on the rows to train with, and give each candidate's last stage with its frames.

    Where candidates part, both frames go through `cached`, with no more columns than later stages and `columns` name.
    """
    parts = sum(bool(branch.children) + len(branch.ends) for branch in branches) > 1
    if parts and fitted:
        names = _needed(branches, columns)
        if names is not None:
            train, validation = (_narrow(frame, names) for frame in (train, validation))
        train, validation = cached(train), cached(validation)
    for branch in branches:
        for candidate in branch.ends:
            yield Leaf(candidate, branch.stage, train, validation, fitted)
        if branch.children:
            model = _fit(branch.stage, train)
            after = model.transform(train), model.transform(validation)
            yield from fit_shared(branch.children, *after, columns, cached, (*fitted, model))


def named_columns(params: Params) -> frozenset[str]:
    """The columns that the parameters of a stage or an evaluator name."""
    names: set[str] = set()
    for param in params.params:
        if param.name.endswith(("Col", "Cols")) and params.isDefined(param):
            value = params.getOrDefault(param)
            names |= {value} if isinstance(value, str) else set(value)
    return frozenset(names)


def _key(stage: Stage, params: Grid) -> Hashable:
    return stage.uid, tuple(sorted((p.name, repr(v)) for p, v in params.items() if p.parent == stage.uid))


def _flat(stage: Stage) -> Iterator[Stage]:
    if isinstance(stage, Pipeline):
        for each in stage.getStages():
            yield from _flat(each)
    else:
        yield stage


def _fit(stage: Stage, train: DataFrame) -> Transformer:
    if isinstance(stage, Estimator):
        model: Model = stage.fit(train)
        return model
    return stage


def _needed(branches: Sequence[Branch], columns: frozenset[str]) -> frozenset[str] | None:
    """The columns that stages name; None where one of them names its columns in a text."""
    stages = [stage for branch in branches for stage in branch.stages()]
    if any(stage.hasParam(name) for stage in stages for name in ("statement", "formula")):
        return None
    return columns.union(*(named_columns(stage) for stage in stages))


def _narrow(frame: DataFrame, names: frozenset[str]) -> DataFrame:
    return frame.select(*(f"`{name}`" for name in frame.columns if name in names))
