"""Writes the graph of an archive, and the columns that it takes: ARCHIVE FOLDER NAME. Runs where onnx is installed."""

import json
import sys
from pathlib import Path

from benchmarks.rivals.onnx_graph import graph_of
from lakeloop.scoring.archive import read_archive


def main(archive: Path, folder: Path, name: str) -> None:
    scorer = read_archive(archive)
    (folder / "columns.json").write_text(json.dumps(dict(scorer.columns)))
    graph = graph_of(scorer, "float")  # the type that trees have in exported graphs
    (folder / f"{name}.onnx").write_bytes(graph)
    print(json.dumps({"bytes": len(graph)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
