"""Keys that come more than once in a batch, found without a shuffle where its rows lie in columns.

Spark finds them by a shuffle of all rows. Where the rows come from Parquet or ORC, reading their keys once more is far
cheaper: eight bytes a key come to the driver, are sorted there, and the few that repeat go back as a broadcast join.
The driver holds at most `MOST_KEYS` of them; beyond that, and for rows that are dear to read, windows do it. Two
different keys share their 64 bits with a probability of n² / 2⁶⁵ among n rows, 3e-8 of a million.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, MapType, StructType

from lakeloop.core import logs
from lakeloop.lake.storage import filesystem
from lakeloop.quality.keyed_rules import COUNTING, hashed
from lakeloop.quality.rule import Rule

log = logs.get(__name__)
MOST_KEYS = 20_000_000
MOST_FILES = 2_000
MOST_REPEATED = 100_000
COLUMNAR = (".parquet", ".orc")
PLAIN = {"Project", "Filter", "Union", "CollectMetrics", "LogicalRelation", "LocalRelation"}  # what a plan may be of
NESTED = (ArrayType, MapType, StructType)
Keys = tuple[tuple[str, ...], str | None]  # the columns of a key, and the filter of its rules


def keys_of(rule: Rule) -> Keys | None:
    """What a rule counts the rows of, where it counts those of one batch."""
    is_counting = rule.kind in COUNTING and not rule.is_causal
    return (rule.columns, rule.filter) if is_counting else None


def count_repeats(
    frame: DataFrame, rules: Sequence[Rule], counted: Mapping[str, Column]
) -> dict[Keys, list[tuple[int, int]]] | None:
    """Of each key that rules count, the hashes that come more than once and how often; None where a window is better.

    `counted` says, by rule, which rows count.
    """
    wanted: dict[Keys, Column] = {}
    for rule in rules:
        if (keys := keys_of(rule)) is not None and keys not in wanted:
            wanted[keys] = F.when(counted[rule.name], hashed(keys[0]))
    # In the hash of a nested value a NULL is nothing, so that (1, NULL) would be (NULL, 1).
    nested = {field.name.lower() for field in frame.schema if isinstance(field.dataType, NESTED)}
    is_nested = any(name.lower() in nested for columns, _ in wanted for name in columns)
    if not wanted or is_nested:
        return None
    narrow = frame.select(*(column.alias(f"key_{at}") for at, column in enumerate(wanted.values())))
    if not _is_cheap(narrow, len(wanted)):
        return None
    table = _to_arrow(narrow)
    found = {keys: _repeated(table.column(at)) for at, keys in enumerate(wanted)}
    return None if any(len(each) > MOST_REPEATED for each in found.values()) else found


def with_counts(frame: DataFrame, columns: Sequence[str], repeats: Sequence[tuple[int, int]], marker: str) -> DataFrame:
    """The frame with the number of rows that share each row's key in a column; NULL where it stands alone."""
    if not repeats:
        return frame.withColumn(marker, F.lit(None).cast("long"))
    said = ",".join(f"{key}:{rows}" for key, rows in repeats)
    name, pair = f"{marker}_key", F.split("pair", ":")
    pairs = frame.sparkSession.range(1).select(F.explode(F.split(F.lit(said), ",")).alias("pair"))
    known = pairs.select(pair[0].cast("long").alias(name), pair[1].cast("long").alias(marker))
    return frame.join(F.broadcast(known), hashed(columns) == F.col(name), "left").drop(name)


def _is_plain(frame: DataFrame) -> bool:
    """Whether the frame is the rows of its files and no more of them, and the same ones whenever it is read.

    What joins, explodes or samples rows is dear to run again, or has other rows then. A session of Spark Connect does
    not show its plan.
    """
    java = getattr(frame, "_jdf", None)
    if java is None:
        return False
    plan, names = java.queryExecution().optimizedPlan(), list[str]()
    nodes = [plan]
    while nodes:
        node = nodes.pop()
        names.append(node.nodeName())
        children = node.children()
        nodes += [children.apply(at) for at in range(children.size())]
    return bool(plan.deterministic()) and set(names) <= PLAIN


def _is_cheap(frame: DataFrame, times: int) -> bool:
    """Whether the rows lie in few enough columnar files that have few enough of them."""
    if not _is_plain(frame):
        return False
    files = frame.inputFiles()
    if not files or len(files) > MOST_FILES or not all(file.endswith(COLUMNAR) for file in files):
        return False
    try:
        return _rows(files) * times <= MOST_KEYS
    except (OSError, pa.ArrowException, ValueError) as error:
        log.info("repeated keys are found by windows", because=str(error))
        return False


def _rows(files: Sequence[str]) -> int:
    from urllib.parse import unquote

    from pyarrow import dataset

    rows = 0
    for file in files:
        system, path = filesystem(re.sub("^file:/+", "/", unquote(file)))  # Spark writes three slashes, Delta one
        kind = "orc" if file.endswith(".orc") else "parquet"
        rows += dataset.dataset(path, filesystem=system, format=kind).count_rows()
    return rows


def _to_arrow(frame: DataFrame) -> pa.Table:
    if (public := getattr(type(frame), "toArrow", None)) is not None:  # since Spark 4
        whole: pa.Table = public(frame)
        return whole
    batches: list[pa.RecordBatch] = frame._collect_as_arrow()
    return pa.Table.from_batches(batches, pa.schema([(name, pa.int64()) for name in frame.columns]))


def _repeated(keys: pa.ChunkedArray) -> list[tuple[int, int]]:
    import numpy as np

    values: np.ndarray[Any, Any] = keys.drop_null().to_numpy()
    values = np.sort(values)
    if not len(values):
        return []
    starts = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    counts = np.diff(np.append(starts, len(values)))
    several = counts > 1
    return list(zip(values[starts[several]].tolist(), counts[several].tolist(), strict=True))
