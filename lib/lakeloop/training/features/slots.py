"""From the slots of a fitted pipeline's final vector back to the columns of the table."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pyspark.ml import PipelineModel, Transformer
from pyspark.ml.feature import (
    Bucketizer,
    CountVectorizerModel,
    OneHotEncoderModel,
    PCAModel,
    StringIndexerModel,
    VectorSlicer,
)

from lakeloop.training.features.parts import parts_of
from lakeloop.training.features.serving import for_serving
from lakeloop.training.features.text import counts_col
from lakeloop.training.spec.features import Features
from lakeloop.training.spec.model import ModelSpec


@dataclass(frozen=True)
class SlotMap:
    """What each slot of the vector that a model takes is made of.

    `names`: `tenure`, `plan=a`, `tenure × charges`, `note = late`, `component 1`. `shares`, shape (slots, columns):
    how much of a slot each of `columns` is; a slot of several columns, such as a product, is theirs in equal parts, so
    that a row sums to 1. The row of a principal component holds the sums of its |loadings| instead, and `deviations`
    its standard deviation in the rows that were learned from, up to one factor for all.
    """

    names: tuple[str, ...]
    columns: tuple[str, ...]
    shares: NDArray[np.float64]
    deviations: NDArray[np.float64] | None = None


def slot_map(spec: ModelSpec, model: PipelineModel) -> SlotMap:
    """Follow the slots through selections and components; `model` is a fitted pipeline of `feature_stages`."""
    columns = spec.features.columns
    names: list[str] = []
    rows: list[NDArray[np.float64]] = []
    stages = for_serving(model).stages
    several = {**dict(_one_hot_names(stages)), **dict(_text_names(spec.features, stages))}
    for part in parts_of(spec.features):
        share = np.array([part.sources.count(column) for column in columns], dtype=np.float64) / len(part.sources)
        for name in several.get(part.col, [_readable(part.col)]):
            names.append(name)
            rows.append(share)
    shares, deviations = np.array(rows), None
    for stage in stages:
        if isinstance(stage, VectorSlicer):
            kept = stage.getIndices()
            names, shares = [names[slot] for slot in kept], shares[kept]
            deviations = None if deviations is None else deviations[kept]
        elif isinstance(stage, PCAModel):
            shares = np.abs(stage.pc.toArray()).T @ shares
            deviations = np.sqrt(stage.explainedVariance.toArray())
            names = [f"component {number + 1}" for number in range(len(shares))]
    return SlotMap(tuple(names), columns, shares, deviations)


def _one_hot_names(stages: Sequence[Transformer]) -> Iterator[tuple[str, list[str]]]:
    """The names of the slots of each one-hot part."""
    texts: dict[str, list[str]] = {}
    for stage in stages:
        if isinstance(stage, StringIndexerModel):
            for index_col, labels in zip(stage.getOutputCols(), stage.labelsArray, strict=True):
                column = index_col.removesuffix("__index")
                texts[index_col] = [f"{column}={label}" for label in labels]
        elif isinstance(stage, Bucketizer):
            for bucket_col, splits in zip(stage.getOutputCols(), stage.getSplitsArray(), strict=True):
                column = bucket_col.removesuffix("__bucket")
                limits = [f"{column} in [{low:g}, {high:g})" for low, high in pairwise(splits)]
                texts[bucket_col] = [*limits, f"{column}=NULL"]
        elif isinstance(stage, OneHotEncoderModel):
            for index_col, slots_col in zip(stage.getInputCols(), stage.getOutputCols(), strict=True):
                yield slots_col, texts[index_col]


def _text_names(features: Features, stages: Sequence[Transformer]) -> Iterator[tuple[str, list[str]]]:
    """The names of the slots of each part of a column of documents, but for its sentiment, which is one."""
    terms = {stage.getOutputCol(): stage.vocabulary for stage in stages if isinstance(stage, CountVectorizerModel)}
    for column, text in features.texts.items():
        counts = [terms.get(counts_col(column, length), []) for length in range(1, text.ngrams + 1)]
        yield f"{column}__terms", [f"{column} = {term}" for of_length in counts for term in of_length]
        if text.embeddings is not None:
            numbers = range(1, text.embeddings.size + 1)
            yield f"{column}__embedding", [f"{column} embedding {number}" for number in numbers]


def _readable(col: str) -> str:
    for suffix in ("__filled", "__encoded"):
        col = col.removesuffix(suffix)
    return col.replace("__times__", " × ").replace("__", " ")
