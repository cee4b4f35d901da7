"""Spark's rows answered by the archive of a scorer, in Python workers, without the pipeline that Spark fitted.

Workers import this module, so it imports nothing that they need not have.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import DoubleType, StructField, StructType

from lakeloop.core.errors import ScoringError
from lakeloop.scoring.archive import read_archive
from lakeloop.scoring.scorer import Scorer

PREDICTION, PROBABILITY = "_prediction", "_probability"


def with_answers(rows: DataFrame, archive: bytes, *, may_lack: bool = False) -> DataFrame:
    """All columns of `rows`, with `_prediction` and `_probability`, doubles; of a batch or of a stream alike.

    A feature that the rows lack is NULL to the model. `_probability` is that of the positive of two classes, NULL of
    anything else. A row that the model cannot answer fails the query with a ScoringError, as it does in Spark; with
    `may_lack` both its columns are NULL. The workers need Lakeloop, numpy and Arrow; each reads the archive once.
    """
    schema = StructType(
        [*rows.schema.fields, StructField(PREDICTION, DoubleType()), StructField(PROBABILITY, DoubleType())]
    )

    def answer(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        scorer = _scorer(archive)
        for batch in batches:
            answers = _answers(scorer, pa.Table.from_batches([batch]), may_lack=may_lack)
            yield pa.RecordBatch.from_arrays([*batch.columns, *answers], names=schema.names)

    return rows.mapInArrow(answer, schema)


@lru_cache(maxsize=4)
def _scorer(archive: bytes) -> Scorer:
    # Workers are used again by Spark, and so is what they have read.
    return read_archive(archive)


def _answers(scorer: Scorer, table: pa.Table, *, may_lack: bool) -> tuple[pa.Array, pa.Array]:
    try:
        answers = scorer.score_many(table)
    except ScoringError:
        if may_lack:
            return _row_by_row(scorer, table)
        raise
    shares = answers.probabilities
    if shares is None or scorer.task != "binary":
        return pa.array(answers.predictions), pa.nulls(table.num_rows, pa.float64())
    return pa.array(answers.predictions), pa.array(np.ascontiguousarray(shares[:, 1]))


def _row_by_row(scorer: Scorer, table: pa.Table) -> tuple[pa.Array, pa.Array]:
    said: list[tuple[float | None, float | None]] = []
    for row in table.select([name for name in scorer.columns if name in table.column_names]).to_pylist():
        try:
            scorer.check(row)
            prediction, share = scorer.score(row)
            said.append((prediction, share if scorer.task == "binary" else None))
        except ScoringError:
            said.append((None, None))
    predictions, shares = zip(*said, strict=True)
    return pa.array(predictions, pa.float64()), pa.array(shares, pa.float64())
