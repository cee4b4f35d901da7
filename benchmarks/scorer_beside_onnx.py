"""Archives of a folder beside onnxruntime, in turns; prints a line of JSON. In an environment without Spark."""

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pyarrow.parquet as pq

from benchmarks.rivals.onnx_graph import fed, graph_of
from lakeloop.scoring.archive import read_archive

SINGLE_ROWS, AT_A_TIME = 3_000, 100
WARM, CALLS = 3, 5


def main(folder: str, rounds: str) -> None:
    """Measure each archive there is."""
    table = pq.read_table(Path(folder) / "rows.parquet")
    rows = [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]
    found = {}
    for file in sorted(Path(folder).glob("*.zip")):
        scorer = read_archive(file)
        graphs = {kind: ort.InferenceSession(graph_of(scorer, kind)) for kind in ("float", "double")}
        arrays = fed(rows, scorer.columns)
        ours = scorer.score_many(table).probabilities[:, 1]
        apart = {
            f"onnx_{kind}_apart": float(np.abs(graph.run(None, arrays)[0] - ours).max())
            for kind, graph in graphs.items()
        }
        many: dict[str, Callable[[], Any]] = {"ours_rows_ms": partial(scorer.score_many, table)}
        many |= {f"onnx_{kind}_rows_ms": partial(graph.run, None, arrays) for kind, graph in graphs.items()}
        many["onnx_one_thread_rows_ms"] = partial(_on_one_thread(graph_of(scorer, "float")).run, None, arrays)
        single: dict[str, Callable[[Any], Any]] = {"ours_row_us": scorer.score}
        single |= {f"onnx_{kind}_row_us": partial(_asked, graph, scorer.columns) for kind, graph in graphs.items()}
        found[file.stem] = {**apart, **_in_turns(many, int(rounds)), **_row_by_row(single, rows)}
    print(json.dumps(found), flush=True)


def _asked(graph: ort.InferenceSession, columns: Mapping[str, str], row: Mapping[str, Any]) -> Any:
    return graph.run(None, fed([row], columns))


def _on_one_thread(graph: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(graph, options)


def _in_turns(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The median milliseconds of each way; the first calls of a turn do not count.

    Threads of onnxruntime go on spinning for a while, which would slow down whatever comes next.
    """
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            for call in range(WARM + CALLS):
                began = time.perf_counter()
                way()
                if call >= WARM:
                    took[name].append(1e3 * (time.perf_counter() - began))
    return {name: statistics.median(each) for name, each in took.items()}


def _row_by_row(ways: dict[str, Callable[[Any], Any]], rows: list[dict[str, Any]]) -> dict[str, float]:
    """The median microseconds of one row, a hundred rows in turn; the first hundred warm up."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for start in range(0, SINGLE_ROWS + AT_A_TIME, AT_A_TIME):
        for name, way in ways.items():
            for row in rows[start : start + AT_A_TIME]:
                began = time.perf_counter()
                way(row)
                took[name].append(1e6 * (time.perf_counter() - began))
    return {name: statistics.median(each[AT_A_TIME:]) for name, each in took.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
