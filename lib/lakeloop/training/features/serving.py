"""What of a fitted pipeline a server needs."""

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from pyspark.ml import PipelineModel, Transformer


@runtime_checkable
class TrainingOnly(Protocol):
    """A fitted stage that treats rows it has learned from otherwise, and gives the stages for all other rows."""

    def for_serving(self) -> list[Transformer]:
        """Stages of Spark's own for rows that were not learned from."""


def for_serving(model: PipelineModel) -> PipelineModel:
    """The pipeline that is saved: it says of a new row what `model` does, knows no fold and no label of a row.

    Pipelines within it are spelled out, so that each stage is one of Spark's own.
    """
    return PipelineModel(list(_flat(model.stages)))


def _flat(stages: Iterable[Transformer]) -> Iterator[Transformer]:
    for stage in stages:
        if isinstance(stage, PipelineModel):
            yield from _flat(stage.stages)
        elif isinstance(stage, TrainingOnly):
            yield from stage.for_serving()
        else:
            yield stage
