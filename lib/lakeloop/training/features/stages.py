"""From the raw table to one vector per row, with Spark ML's own stages wherever it has one.

What a missing value means: in a numeric column NULL, NaN and ±infinity are missing and take the median, mean or mode of
the rows the stages were fitted on; a bucket of its own where the column is cut. In a categorical column NULL is a
category like any other, named `NULL` and shared with the empty string, which Spark's encoder refuses, and with that
very text. A category that was not there at fitting time has no slot: all slots of the column are 0. A missing date has
0 for sine and cosine, as near to each month as to any other; its year and age are imputed as numbers are. A missing or
empty document has 0 in all its slots.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from pyspark.ml import Estimator, Transformer
from pyspark.ml.feature import Bucketizer, OneHotEncoder, SQLTransformer, StringIndexer, VectorAssembler
from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from lakeloop.core.spark_nlp import require_spark_nlp
from lakeloop.training.algorithms import FEATURES_COL, FOLD_COL, LABEL_COL, Space
from lakeloop.training.features.columns import check_columns
from lakeloop.training.features.components import components
from lakeloop.training.features.conforming import conformed, multiplied
from lakeloop.training.features.encoding import CategoryEncoder
from lakeloop.training.features.filling import NamingDiscretizer, NamingImputer
from lakeloop.training.features.parts import filled_numbers, parts_of, product_col, terms_cols
from lakeloop.training.features.scaling import ScalerBesideTerms, scaler
from lakeloop.training.features.selection import SlotSelector
from lakeloop.training.features.sentiment import SentimentEncoder
from lakeloop.training.features.spark_nlp import base_form_stages, vector_stages
from lakeloop.training.features.text import embedding_stages, stop_words_of, term_stages, token_stages
from lakeloop.training.spec.features import Features, Scale
from lakeloop.training.spec.model import ModelSpec

Stage = Estimator[Any] | Transformer
INFINITY = float("inf")


def feature_stages(spec: ModelSpec, schema: StructType, on: Space = "features") -> list[Stage]:
    """Unfitted stages from a table of this schema to the vector column `features`, or further to `features_pca`.

    `features` holds the parts of `parts_of`, a one-hot part having one slot per category in alphabetical order, less
    what `select` leaves out; by default each slot has unit sample variance and is not centred, so that one-hot slots
    stay sparse (a constant slot becomes 0), and terms of texts keep their weights. Intermediate columns are named
    `<column>__number`, `__filled`, `__cut`, `__bucket`, `__category`, `__index`, `__encoded` and `__slots`, those of
    texts as `text.py` and `spark_nlp.py` say. Fitted on rows of `deal_folds` with `_label`; of the fitted pipeline
    `for_serving` makes one of Spark's stages alone, and of Spark NLP's.
    Raises TrainingError as `check_columns` does, and where Spark NLP is asked for and not there.
    """
    check_columns(spec, schema)
    features = spec.features
    stages: list[Stage] = [SQLTransformer(statement=conformed(features))]
    if filled := filled_numbers(features):
        stages.append(
            NamingImputer(
                strategy=features.impute, inputCols=_named(filled, "number"), outputCols=_named(filled, "filled")
            )
        )
    stages += [*_bucketed(features), *_one_hot(features)]
    if features.encode:
        stages.append(_encoder(spec))
    stages += _text(spec)
    if features.interactions:
        products = {product_col(names): names for names in features.interactions}
        stages.append(SQLTransformer(statement=multiplied(products)))
    stages += _assembled(spec)
    return [*stages, *component_stages(spec)] if on == "pca" else stages


def component_stages(spec: ModelSpec) -> list[Stage]:
    """The unfitted stage from `features` to `features_pca`; none where no components are declared."""
    pca = spec.features.pca
    return [] if pca is None else [components(pca, FEATURES_COL["features"], FEATURES_COL["pca"])]


def _named(columns: Iterable[str], suffix: str) -> list[str]:
    return [f"{column}__{suffix}" for column in columns]


def _bucketed(features: Features) -> list[Stage]:
    quantiles = {name: cut for name, cut in features.buckets.items() if isinstance(cut, int)}
    limits = {name: cut for name, cut in features.buckets.items() if not isinstance(cut, int)}
    stages: list[Stage] = []
    if quantiles:
        stages.append(
            NamingDiscretizer(
                numBucketsArray=list(quantiles.values()),
                inputCols=_named(quantiles, "cut"),
                outputCols=_named(quantiles, "bucket"),
                handleInvalid="keep",
            )
        )
    if limits:
        stages.append(
            Bucketizer(
                splitsArray=[[-INFINITY, *cut, INFINITY] for cut in limits.values()],
                inputCols=_named(limits, "cut"),
                outputCols=_named(limits, "bucket"),
                handleInvalid="keep",
            )
        )
    if features.buckets:
        # What `keep` adds to the buckets is that of missing numbers, and it has a slot.
        stages.append(
            OneHotEncoder(
                inputCols=_named(features.buckets, "bucket"),
                outputCols=_named(features.buckets, "slots"),
                handleInvalid="keep",
                dropLast=False,
            )
        )
    return stages


def _one_hot(features: Features) -> list[Stage]:
    names = [name for name in features.categorical if name not in features.encode]
    if not names:
        return []
    # `keep` puts unseen categories last, and dropping the last slot makes them all zeros.
    return [
        StringIndexer(
            inputCols=_named(names, "category"),
            outputCols=_named(names, "index"),
            handleInvalid="keep",
            stringOrderType="alphabetAsc",
        ),
        OneHotEncoder(inputCols=_named(names, "index"), outputCols=_named(names, "slots"), dropLast=True),
    ]


def _encoder(spec: ModelSpec) -> CategoryEncoder:
    return CategoryEncoder(spec.features.encode, spec.features.smoothing, **_learned_by(spec))


def _learned_by(spec: ModelSpec) -> dict[str, Any]:
    """The columns by which a stage that learns from the label tells which rows it has learned from."""
    folds = [f"{FOLD_COL}_{repeat}" for repeat in range(spec.folds.repeats)]
    return {"label_col": LABEL_COL, "part_col": spec.folds.by or spec.key, "fold_cols": folds}


def _text(spec: ModelSpec) -> Iterator[Stage]:
    if spec.features.needs_spark_nlp:
        require_spark_nlp(SparkSession.builder.getOrCreate())
    for name, text in spec.features.texts.items():
        uses_nlp, stop_words = text.engine == "spark_nlp", stop_words_of(text)
        yield from base_form_stages(name, text, stop_words) if uses_nlp else token_stages(name, stop_words)
        if text.words:
            yield from term_stages(name, text)
        yield from (vector_stages if uses_nlp else embedding_stages)(name, text, spec.folds.seed)
        if text.sentiment:
            yield SentimentEncoder(name, **_learned_by(spec))


def _assembled(spec: ModelSpec) -> list[Stage]:
    """The assembler, selections and scaler; the last of them makes `features`."""
    features, scaled_col = spec.features, FEATURES_COL["features"]
    scale: Scale = "none" if features.are_counts else features.scale
    names = ["assembled", *(f"selected_{number}" for number in range(1, len(features.select) + 1))]
    if scale == "none":
        names[-1] = scaled_col
    stages: list[Stage] = [
        VectorAssembler(inputCols=[part.col for part in parts_of(features)], outputCol=names[0]),
        *(
            SlotSelector(
                selection, spec.task, spec.folds.seed, input_col=source, output_col=target, label_col=LABEL_COL
            )
            for selection, source, target in zip(features.select, names, names[1:], strict=False)
        ),
    ]
    if scale != "none":
        terms, ends = terms_cols(features), (names[-1], scaled_col)
        stages.append(ScalerBesideTerms(scale, terms, *ends) if terms else scaler(scale, *ends))
    return stages
