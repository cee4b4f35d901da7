"""The one pass: a job that reads the rows once and leaves measures, the most frequent values, and a sample.

The plan is one scan. The aggregates are observed on the way (`CollectMetrics`), beside it every partition of rows
becomes one summary of bounded size, and only these summaries are exchanged. `plan_of` shows it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as F

from lakeloop.core.errors import TableError
from lakeloop.quality.profiling.frequent_values import FrequentValues
from lakeloop.quality.profiling.measures import kind_of, measures_of, text_of
from lakeloop.quality.profiling.row_sample import SAMPLE_ROWS, RowSample
from lakeloop.quality.profiling.text_shapes import shape_of
from lakeloop.quality.row_rules.columns import value_of

SUMMARY = "name string, frequent string, sample binary"
CHUNK = 50
SEED = 20_117


@dataclass(frozen=True)
class Pass:
    """What the pass found. `measures`, `values` and `shapes` are by column; texts have shapes.

    `sample` holds texts under the columns' own names, NULL where the row has NULL.
    """

    rows: int
    measures: Mapping[str, Mapping[str, Any]]
    values: Mapping[str, FrequentValues]
    shapes: Mapping[str, FrequentValues]
    sample: pa.Table


def read_once(frame: DataFrame) -> Pass:
    """Read every row of a frame once. Raises TableError for a frame without columns."""
    if not frame.columns:
        raise TableError("there is no column to profile")
    observation = Observation()
    frequent, sample = dict[str, FrequentValues](), RowSample(SAMPLE_ROWS, SEED)
    _take([row.asDict() for row in _summarised(frame, observation).collect()], frequent, sample)
    # Of no rows there may be no plan left to observe, and an observation of nothing is waited for without end.
    found: dict[str, Any] = observation.get if frequent else {"rows": 0}
    measures = {field.name: json.loads(found.get(f"m{at}", "{}")) for at, field in enumerate(frame.schema)}
    return Pass(
        rows=found["rows"],
        measures=measures,
        values={name: frequent.get(f"v{at}", FrequentValues()) for at, name in enumerate(frame.columns)},
        shapes={
            field.name: frequent.get(f"s{at}", FrequentValues())
            for at, field in enumerate(frame.schema)
            if kind_of(field.dataType) == "text"
        },
        sample=_named(sample.rows, frame.columns),
    )


def _named(sample: pa.Table | None, columns: list[str]) -> pa.Table:
    if sample is None:
        return pa.table({name: pa.array([], pa.string()) for name in columns})
    kept = sample.select([f"v{at}" for at in range(len(columns))])
    return kept.rename_columns(columns)


def plan_of(frame: DataFrame) -> str:
    """The physical plan of the pass, as EXPLAIN shows it."""
    planned = _summarised(frame, Observation())
    return str(planned._jdf.queryExecution().simpleString())


def _summarised(frame: DataFrame, observation: Observation) -> DataFrame:
    fields = list(enumerate(frame.schema))
    observed = frame.observe(
        observation,
        F.count(F.lit(1)).alias("rows"),
        *(measures_of(field).alias(f"m{at}") for at, field in fields),
    )
    texts = [text_of(field).alias(f"v{at}") for at, field in fields]
    shapes = [
        shape_of(value_of(field.name)).alias(f"s{at}") for at, field in fields if kind_of(field.dataType) == "text"
    ]
    parts = observed.select(*texts, *shapes).mapInArrow(_summarise, SUMMARY)
    return parts.repartition(1).mapInArrow(_merge, SUMMARY)


def _summarise(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    task = TaskContext.get()
    sample = RowSample(SAMPLE_ROWS, SEED + (task.partitionId() if task else 0))
    frequent: dict[str, FrequentValues] = {}
    for batch in batches:
        for name, values in zip(batch.schema.names, batch.columns, strict=True):
            frequent.setdefault(name, FrequentValues()).add(values)
        sample.add(batch.select([name for name in batch.schema.names if name.startswith("v")]))
    yield from _written(frequent, sample.rows)


def _merge(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    frequent, sample = dict[str, FrequentValues](), RowSample(SAMPLE_ROWS, SEED)
    for batch in batches:
        _take(batch.to_pylist(), frequent, sample)
    yield from _written(frequent, sample.rows)


def _take(parts: Sequence[Mapping[str, Any]], frequent: dict[str, FrequentValues], sample: RowSample) -> None:
    """Add what `_written` gave to what is known of the columns, and to the sample."""
    for part in parts:
        if part["name"] is not None:
            found = FrequentValues.of(json.loads(part["frequent"]))
            frequent.setdefault(part["name"], FrequentValues()).merge(found)
    chunks = [pa.ipc.open_stream(part["sample"]).read_all() for part in parts if part["sample"] is not None]
    if chunks:
        sample.merge(pa.concat_tables(chunks))


def _written(frequent: Mapping[str, FrequentValues], sample: pa.Table | None) -> Iterator[pa.RecordBatch]:
    """A row per column, and one per 50 rows of the sample: small ones, since Spark hands on thousands at a time."""
    names, texts = list(frequent), [json.dumps(found.as_json()) for found in frequent.values()]
    chunks = [] if sample is None else [sample.slice(at, CHUNK) for at in range(0, sample.num_rows, CHUNK)]
    columns = [
        pa.array([*names, *[None] * len(chunks)], pa.string()),
        pa.array([*texts, *[None] * len(chunks)], pa.string()),
        pa.array([*[None] * len(names), *map(_bytes, chunks)], pa.binary()),
    ]
    yield pa.RecordBatch.from_arrays(columns, ["name", "frequent", "sample"])


def _bytes(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    written: bytes = sink.getvalue().to_pybytes()
    return written
