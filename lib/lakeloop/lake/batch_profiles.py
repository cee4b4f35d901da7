"""The numbers of past batches of one pipeline in `ops.table_profiles`, read and kept within bounds without Spark.

A number that was judged stands beside its band: `rows`, `rows_low` and `rows_high`; one outside of it has a
`rows_score` too, which marks the batch as an anomaly.
"""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from numpy.typing import NDArray

from lakeloop.core import logs
from lakeloop.lake.batch_measures import Number
from lakeloop.lake.ops_tables import UNREADABLE, files_of_table, has_table, unreadable, uri_of
from lakeloop.lake.plain_values import column_values
from lakeloop.lake.table_profiles import TABLE_PROFILES

log = logs.get(__name__)
Floats = NDArray[np.float64]
LOW, HIGH, SCORE = "_low", "_high", "_score"
SLACK = 1.25  # old batches go when there are so many times as many as are to be kept: a delete rewrites files


@dataclass(frozen=True)
class BatchNumbers:
    """Past batches, oldest first, and their numbers: per number the value in each batch, NaN where it has none."""

    table: str = ""
    batch_ids: tuple[int, ...] = ()
    ended_at: tuple[dt.datetime, ...] = ()
    values: dict[Number, list[float]] = field(default_factory=dict)

    @cached_property
    def seconds(self) -> Floats:
        """When each batch ended, in seconds since 1970."""
        return np.array([at.timestamp() for at in self.ended_at], dtype=np.float64)

    @cached_property
    def marked(self) -> NDArray[np.bool_]:
        """Per batch, whether any number of it was outside of its band."""
        return self._known([number for number in self.values if number.metric.endswith(SCORE)])

    def counted_shares(self, column: str | None) -> NDArray[np.bool_]:
        """Per batch, whether the shares of a column were measured."""
        return self._known([number for number in self.values if (number.column, number.metric) == (column, "share")])

    def _known(self, numbers: Sequence[Number]) -> NDArray[np.bool_]:
        found = np.zeros(len(self.batch_ids), dtype=np.bool_)
        for number in numbers:
            found |= ~np.isnan(self.values[number])
        return found

    def of(self, number: Number, suffix: str = "") -> list[float]:
        """The values of a number, or of its band or score; all NaN where there is none."""
        own = number._replace(metric=number.metric + suffix)
        return self.values.get(own) or [float("nan")] * len(self.batch_ids)


def past_batches(
    root: str,
    pipelines: Sequence[str],
    *,
    only: Collection[int] | None = None,
    without: int | None = None,
    metrics: Collection[str] | None = None,
) -> dict[str, BatchNumbers]:
    """The numbers of the batches of some pipelines that are kept; of a batch measured twice, what was written last.

    `only` these batches, or all `without` one; `metrics` as they are kept, all by default. Raises DamageError for a
    table that is there and cannot be read.
    """
    if not pipelines or not has_table(root, TABLE_PROFILES):
        return {}
    wanted = pc.field("pipeline").isin(list(pipelines)) & pc.field("batch_id").is_valid()
    if only is not None:
        wanted &= pc.field("batch_id").isin(list(only))
    if without is not None:
        wanted &= pc.field("batch_id") != without
    if metrics is not None:
        wanted &= pc.field("metric").isin(list(metrics))
    columns = ["table", "pipeline", "batch_id", "at", "column", "metric", "category", "value"]
    try:
        delta, files = DeltaTable(uri_of(root, TABLE_PROFILES)), files_of_table(root, TABLE_PROFILES)
        rows = delta.to_pyarrow_dataset(filesystem=files).to_table(columns=columns, filter=wanted)
    except UNREADABLE as error:
        raise unreadable(TABLE_PROFILES, error) from error
    found = {}
    for pipeline in pipelines:
        own = rows.filter(pc.equal(rows["pipeline"], pipeline))
        if own.num_rows:
            found[pipeline] = _numbers(own)
    return found


def _numbers(rows: pa.Table) -> BatchNumbers:
    rows = rows.sort_by([("at", "ascending")])
    batch_ids = rows["batch_id"].to_numpy()
    ids, first, position = np.unique(batch_ids, return_index=True, return_inverse=True)
    # Of a batch that was measured again the last time counts, since rows are in the order of time.
    last = len(batch_ids) - 1 - np.unique(batch_ids[::-1], return_index=True)[1]
    ended = column_values(rows["at"].combine_chunks().take(pa.array(last)))
    codes, names = np.zeros(rows.num_rows, np.int64), list[list[Any]]()
    for name in ("column", "metric", "category"):
        encoded = rows[name].combine_chunks().dictionary_encode(null_encoding="encode")
        names.append(encoded.dictionary.to_pylist())
        codes = codes * (len(names[-1]) + 1) + encoded.indices.to_numpy(zero_copy_only=False)
    keys, key_of = np.unique(codes, return_inverse=True)
    filled = np.full((len(keys), len(ids)), np.nan)
    filled[key_of, position] = rows["value"].to_numpy()
    values = {}
    for code, line in zip(keys.tolist(), filled, strict=True):
        rest, category = divmod(code, len(names[2]) + 1)
        column, metric = divmod(rest, len(names[1]) + 1)
        values[Number(names[0][column], names[1][metric], names[2][category])] = line.tolist()
    order = np.argsort(first, kind="stable")
    if not np.array_equal(order, np.arange(len(ids))):  # a ledger that was begun anew counts from 0 again
        values = {number: [line[i] for i in order] for number, line in values.items()}
    return BatchNumbers(
        rows["table"][-1].as_py(),
        tuple(ids[order].tolist()),
        tuple(ended[i] for i in order),
        values,
    )


def forget_batches(root: str, pipeline: str, known: BatchNumbers, most: int, oldest: dt.datetime) -> None:
    """Delete the numbers of batches beyond the `most` newest or before `oldest`, once there are a quarter too many."""
    kept_since = known.ended_at[-most] if len(known.ended_at) > most else oldest
    kept_since = max(kept_since, oldest)
    gone = sum(at < kept_since for at in known.ended_at)
    if gone <= (SLACK - 1) * (len(known.ended_at) - gone):
        return
    moment = f"{kept_since.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    mine = f"pipeline = '{pipeline}' AND batch_id IS NOT NULL AND at < '{moment}'"
    try:
        DeltaTable(uri_of(root, TABLE_PROFILES)).delete(mine)
    except CommitFailedError as error:  # another writer was first; the next batch tries again
        log.info("old numbers stay a while", pipeline=pipeline, error=str(error))
