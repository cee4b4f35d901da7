"""What one batch brought, measured without Spark: from the statistics of its own commit, and from few columns of it."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from lakeloop.lake.delta_log import Actions, DeltaLog, newest_version, said_of
from lakeloop.lake.ops_tables import uri_of
from lakeloop.lake.storage import filesystem
from lakeloop.lake.tables import Commit

CATEGORIES, OTHERS = 20, "(others)"  # the most frequent values of a column; the rest counts together
MOST_VALUES = 50  # different values of a column in a batch, beyond which shares say nothing
COMMITS_LOOKED_AT = 50
ROWS_AT_A_TIME = 65_536


class Number(NamedTuple):
    """What a number is of: a column (None: the table), a metric, and of `share` a value of the column."""

    column: str | None
    metric: str
    category: str | None = None


@dataclass
class BatchMeasures:
    """The numbers of the good rows of a batch; `problems` are sentences on columns that cannot be measured so."""

    rows: int = 0
    numbers: dict[Number, float] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def measure_batch(
    root: str, record_table: str, commit: Commit, means: Sequence[str] = (), shares: Sequence[str] = ()
) -> BatchMeasures | None:
    """The good rows of a batch: how many, the share of NULL per column, and mean and shares of the columns named.

    Rows and NULLs stand in the commit, for columns with statistics (the first 30), and cost nothing; for means and
    shares only these columns of the batch's files are read, a piece at a time. A mean leaves NULL, NaN and infinity
    out; shares are of all rows with a value. None where the commit is not among the newest of the record.
    """
    folder = uri_of(root, record_table)
    actions = _commit_of(folder, commit)
    if actions is None:
        return None
    added = [action["add"] for action in actions if "add" in action]
    good = [add for add in added if add.get("partitionValues", {}).get("_verdict", "good") == "good"]
    found = BatchMeasures()
    nulls: Counter[str] = Counter()
    for add in good:
        statistics = json.loads(add.get("stats") or "{}")
        found.rows += int(statistics.get("numRecords", 0))
        for column, count in statistics.get("nullCount", {}).items():
            if not column.startswith("_") and not isinstance(count, Mapping):  # of a struct: one count per field
                nulls[column] += int(count)
    if not found.rows:
        return found
    found.numbers |= {Number(column, "null_share"): count / found.rows for column, count in nulls.items()}
    if means or shares:
        _read(found, [f"{folder}/{unquote(add['path'])}" for add in good], means, shares)
    return found


def _commit_of(folder: str, commit: Commit) -> Actions | None:
    wanted, log = {"writer": commit.writer, "batch_id": commit.batch_id}, DeltaLog(folder)
    latest = newest_version(folder)
    for version in range(latest, max(latest - COMMITS_LOOKED_AT, -1), -1):
        actions, _ = log.commit(version)
        if wanted.items() <= said_of(actions).items():
            return actions
    return None


def _read(found: BatchMeasures, files: Sequence[str], means: Sequence[str], shares: Sequence[str]) -> None:
    types: dict[str, pa.DataType] = {}
    sums: dict[str, _Sum] = {column: _Sum() for column in means}
    counts: dict[str, Counter[str]] = {column: Counter() for column in shares}
    for rows in _pieces(files, list(dict.fromkeys([*means, *shares]))):
        types |= {column.name: column.type for column in rows.schema}
        for column in means:
            if column in types and _has_mean(types[column]):
                sums[column].add(rows.column(column))
        for column in shares:
            if column in types and _has_shares(types[column]):
                _count(counts[column], rows.column(column))
    found.problems = tuple(_problems(types, means, shares, counts))
    for column, total in sums.items():
        if total.rows:
            found.numbers[Number(column, "mean")] = total.mean
            found.numbers[Number(column, "stddev")] = total.deviation
    for column, values in counts.items():
        if len(values) <= MOST_VALUES:
            found.numbers |= {Number(column, "share", name): share for name, share in _shares(values).items()}


def _problems(
    types: Mapping[str, pa.DataType], means: Sequence[str], shares: Sequence[str], counts: Mapping[str, Counter[str]]
) -> Iterator[str]:
    for column in dict.fromkeys([*means, *shares]):
        if column not in types:
            yield f"there is no column '{column}'"
        elif column in means and not _has_mean(types[column]):
            yield f"{column} of type {types[column]} has no mean"
        elif column in shares and not _has_shares(types[column]):
            yield f"{column} of type {types[column]} has no shares"
        elif column in shares and len(counts[column]) > MOST_VALUES:
            yield f"{column} has more than {MOST_VALUES} values, so no shares"


def _shares(counts: Counter[str]) -> dict[str, float]:
    every, often = sum(counts.values()), dict(counts.most_common(CATEGORIES))
    if rest := every - sum(often.values()):
        often[OTHERS] = often.get(OTHERS, 0) + rest
    return {name: count / every for name, count in often.items()}


def _pieces(files: Sequence[str], wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for file in files:
        system, path = filesystem(file)
        with system.open_input_file(path) as stream:
            rows = parquet.ParquetFile(stream)
            there = [name for name in wanted if name in rows.schema_arrow.names]
            if there:
                yield from rows.iter_batches(ROWS_AT_A_TIME, columns=there)


def _has_mean(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _has_shares(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_string(kind) or types.is_integer(kind) or types.is_boolean(kind) or types.is_date(kind))


@dataclass
class _Sum:
    """Count, mean and squared distances of the numbers so far, put together piece by piece."""

    rows: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, values: pa.Array) -> None:
        numbers = pc.cast(values, pa.float64(), safe=False)
        numbers = numbers.filter(pc.fill_null(pc.is_finite(numbers), False))
        if not (rows := len(numbers)):
            return
        mean = pc.mean(numbers).as_py()
        squares = pc.variance(numbers).as_py() * rows
        apart, total = mean - self.mean, self.rows + rows
        self.squares += squares + apart * apart * self.rows * rows / total
        self.mean += apart * rows / total
        self.rows = total

    @property
    def deviation(self) -> float:
        """The standard deviation of the rows."""
        return math.sqrt(self.squares / self.rows)


def _count(counts: Counter[str], values: pa.Array) -> None:
    """Add the values of a piece, until there are too many different ones to be of use."""
    if len(counts) > MOST_VALUES:
        return
    for entry in pc.value_counts(pc.cast(values, pa.string(), safe=False)).slice(0, 2 * MOST_VALUES).to_pylist():
        if entry["values"] is not None:
            counts[_shown(entry["values"])] += entry["counts"]


def _shown(value: str) -> str:
    return value if len(value) <= 60 else f"{value[:59]}…"
