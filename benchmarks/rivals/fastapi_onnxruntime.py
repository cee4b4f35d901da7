"""What one would write by hand: FastAPI and onnxruntime, a route per graph of a folder. Needs no Lakeloop.

`python -m benchmarks.rivals.fastapi_onnxruntime FOLDER PORT`: FOLDER has `columns.json`, names to kinds in the order of
the graphs' inputs, and `<name>.onnx`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import uvicorn
from fastapi import FastAPI

app = FastAPI()


def offer(name: str, graph: ort.InferenceSession, numbers: list[str], texts: list[str]) -> None:
    """Answer for a model at `/<name>`."""

    @app.post(f"/{name}")
    async def score(row: dict[str, Any]) -> dict[str, float]:
        given = {
            "numbers": np.array([[row.get(column) for column in numbers]], dtype=np.float64),
            "texts": np.array([[row.get(column) or "NULL" for column in texts]], dtype=object),
        }
        return {"probability": float(graph.run(None, given)[0][0])}


@app.get("/ready")
async def ready() -> dict[str, bool]:
    return {"ready": True}


def main(folder: Path, port: int) -> None:
    columns = json.loads((folder / "columns.json").read_text())
    numbers = [name for name, kind in columns.items() if kind != "string"]
    texts = [name for name, kind in columns.items() if kind == "string"]
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # a pool of threads costs more than one row
    for file in sorted(folder.glob("*.onnx")):
        offer(file.stem, ort.InferenceSession(file, options), numbers, texts)
    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
