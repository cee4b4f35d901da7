"""What models answered: one row per prediction in `ops.predictions`, appended by delta-rs and only ever added to.

The table is divided by `day`, so that old days go as whole folders, and so that small files are joined within the
present day alone, whatever the table has grown to.
"""

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError
from pydantic_core import to_json

from lakeloop.core import logs
from lakeloop.lake.ops_tables import TIME, Filter, created, read_columns
from lakeloop.lake.storage_failures import storage_explained

log = logs.get(__name__)

PREDICTIONS = "ops.predictions"
PERSONAL = ("key", "features")  # columns that may quote what is masked elsewhere
COMPACT_EVERY, COMPACT_BYTES, VACUUM_EVERY = 60, 32 << 20, 1800  # commits; files of this size are left as they are
AT_A_TIME, PAUSE_SECONDS = 100, 0.0005  # rows that are converted before other threads have their turn
# A commit a second: what was joined is forgotten after an hour, or each commit would read of a week of small files.
SETTINGS = {
    "delta.checkpointInterval": "60",
    "delta.logRetentionDuration": "interval 1 hours",
    "delta.deletedFileRetentionDuration": "interval 1 hours",
}

SCHEMA = pa.schema({
    "day": pa.date32(), "request_id": pa.string(), "at": TIME, "model": pa.string(), "version": pa.int64(),
    "role": pa.string(), "key": pa.string(), "prediction": pa.float64(), "probability": pa.float64(),
    "features": pa.string(), "latency_us": pa.int64(), "worker": pa.string(), "caller": pa.string(),
})  # fmt: skip


class Prediction(NamedTuple):
    """One answer, or one of a challenger that nobody was given. Grain: one per (`request_id`, `role`).

    `at` are microseconds since 1970 in UTC, the moment that chose the version. `key` says whose row it was, None where
    the caller did not. `probability` is that of the positive of two classes, of several that of the predicted one, None
    of numbers. `features` are the row as it was scored. `latency_us` is from the request's start until the answer was
    ready, for a challenger how long it took to score. `worker` is host and process, `caller` the name of a key in
    `access.yml`, or an address where none is declared.
    """

    request_id: str
    at: int
    model: str
    version: int
    role: str
    key: str | None
    prediction: float
    probability: float | None
    features: Mapping[str, Any]
    latency_us: int
    worker: str
    caller: str


def likelihood(prediction: float, probability: Any) -> float | None:
    """The probability that is kept of what a scorer gives: a number, one for each of several classes, or None."""
    found: float | None = probability[int(prediction)] if isinstance(probability, list | tuple) else probability
    return found


def append_predictions(root: str, entries: Sequence[Prediction]) -> None:
    """Append answers, of which there is at least one, in one commit; other writers may do so at the same time."""
    uri = created(root, PREDICTIONS, SCHEMA, ["day"], SETTINGS)
    with storage_explained(uri):
        table = DeltaTable(uri)
        write_deltalake(table, predictions_table(entries), mode="append")
    if table.version() % COMPACT_EVERY == 0:
        _tidy(table)


def predictions_table(entries: Sequence[Prediction]) -> pa.Table:
    """Answers as an Arrow table of `SCHEMA`.

    They are converted by few at a time, and in between other threads have their turn: they answer requests meanwhile.
    """
    batches = []
    for first in range(0, len(entries), AT_A_TIME):
        batches.append(_batch(entries[first : first + AT_A_TIME]))
        time.sleep(PAUSE_SECONDS)
    return pa.Table.from_batches(batches, SCHEMA)


def _batch(entries: Sequence[Prediction]) -> pa.RecordBatch:
    columns = dict(zip(Prediction._fields, zip(*entries, strict=True), strict=True))
    at = pa.array(columns["at"], pa.int64()).cast(TIME)
    made = {
        name: pa.array(columns[name], SCHEMA.field(name).type)
        for name in SCHEMA.names
        if name not in ("day", "at", "features")
    }
    # Rows of a table may hold NaN, which is no JSON.
    made["features"] = pa.array([to_json(row, inf_nan_mode="strings") for row in columns["features"]]).cast(pa.string())
    made |= {"at": at, "day": at.cast(pa.timestamp("us")).cast(pa.date32(), safe=False)}
    return pa.record_batch([made[name] for name in SCHEMA.names], schema=SCHEMA)


def predictions(
    root: str,
    *,
    model: str | None = None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """The answers with `since <= at < until`, of one model or of all, in no order; no rows where there are none."""
    wanted: list[Filter] = [("model", "=", model)] if model is not None else []
    if since is not None:
        wanted += [("day", ">=", since.astimezone(dt.UTC).date()), ("at", ">=", since)]
    if until is not None:
        wanted += [("day", "<=", until.astimezone(dt.UTC).date()), ("at", "<", until)]
    found = read_columns(root, PREDICTIONS, wanted, columns)
    if found is not None:
        return found
    empty = SCHEMA.empty_table()
    return empty.select(list(columns)) if columns else empty


def _tidy(table: DeltaTable) -> None:
    """Join the small files of the present day, and now and then delete those that were joined an hour ago."""
    version, today = table.version(), dt.datetime.now(dt.UTC).date().isoformat()
    try:
        table.optimize.compact(partition_filters=[("day", "=", today)], target_size=COMPACT_BYTES)
        if version % VACUUM_EVERY == 0:
            table.vacuum(retention_hours=1, dry_run=False, enforce_retention_duration=False)
    except (DeltaError, OSError) as error:  # the rows are safe, and the next time will do
        log.warning("not compacted", table=PREDICTIONS, error=str(error))
