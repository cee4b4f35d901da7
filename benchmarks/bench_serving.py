"""`make bench-serving`: one row over HTTP, beside the least that FastAPI costs, MLflow's servers and onnxruntime."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.churn_data import SEED
from benchmarks.measuring import Ratio, measured, print_ways, share_of, spreads, write_result
from benchmarks.quality_rivals import ask
from benchmarks.scorer_in_process import measured as measured_in_process
from benchmarks.serving_client import request_text
from benchmarks.serving_lake import FOREST, LINEAR, rows_to_ask, train, write_project
from benchmarks.serving_servers import FLOOR, Running, Server, by_mlflow, by_onnxruntime, ours, running
from lakeloop.core.java import ensure_java
from lakeloop.lake.champions import Switch, fetch_release, holder, switches

ROWS, REQUESTS, WARM_UPS, TURNS, STARTS = 7_043, 5_000, 1_000, 5, 5
SPARK_REQUESTS, SPARK_WARM_UPS = 30, 5
SLOWER = 10  # MLflow's server of the scorer takes tens of milliseconds: it is asked so much less in a turn
ASKED_ROWS = 100
MODELS = (LINEAR, FOREST)
HELLO, OURS, ONNX, MLFLOW, SPARK = "hello world", "Lakeloop", "onnxruntime", "MLflow, scorer", "MLflow, Spark"
Figures = Mapping[str, float]
console = Console()


@dataclass(frozen=True)
class Bench:
    """A folder with a project whose models are trained, and how much is asked of each server in each turn."""

    folder: Path
    requests: int
    turns: int

    def by_mlflow(self, name: str, model: str, form: str) -> Server:
        """MLflow's server of one form of a champion: `model` is Spark's pipeline, `scorer` needs no Spark."""
        uri = f"runs:/{self.champion(model).training_run}/{form}"
        return by_mlflow(name, uri, f"sqlite:///{self.lake}/mlflow.db")

    def champion(self, model: str) -> Switch:
        held = holder(switches(self.lake), model, "champion")
        assert held is not None
        return held

    @property
    def lake(self) -> str:
        return f"{self.folder}/lake"

    def requests_file(self, name: str, requests: list[str]) -> Path:
        file = self.folder / f"requests-{name.replace(' ', '_').replace(',', '')}.json"
        file.write_text(json.dumps(requests))
        return file


def main() -> None:
    """Train, serve and ask; write `results/serving.json` (`serving_tried.json` where less is asked)."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS, help="Of a server in a turn")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--project", type=Path, help="A folder that an earlier bench left, instead of a new one")
    parser.add_argument("--http-only", action="store_true", help="Leave out what is measured in process")
    arguments = parser.parse_args()
    ensure_java()
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as temporary:
        folder = arguments.project or Path(temporary)
        if not (folder / "conf").exists():
            write_project(folder, ROWS)
            train(folder, *MODELS)
        bench, load = Bench(folder, arguments.requests, arguments.turns), os.getloadavg()
        figures, ratios = measure(bench)
    figures = {"seed": SEED, "rows": ROWS, "requests": bench.requests, "turns": bench.turns,
               "load_average_before": load[0], "load_average_after": os.getloadavg()[0], **figures}  # fmt: skip
    if not arguments.http_only:
        figures["in_process"] = measured_in_process()
    is_whole = (bench.requests, bench.turns) == (REQUESTS, TURNS)
    write_result("serving" if is_whole else "serving_tried", figures, ratios)


def measure(bench: Bench) -> tuple[dict[str, Any], dict[str, Ratio]]:
    """Everything that is asked over HTTP, and how servers start."""
    figures: dict[str, Any] = {"starts": spreads([started(bench) for _ in range(STARTS)])}
    ratios = {
        "ready_seconds": Ratio(figures["starts"]["seconds"]["median"], 2.0),
        "memory_mb_after_start": Ratio(figures["starts"]["largest_process_mb"]["max"], 200.0),
    }
    graphs = write_graphs(bench)
    for model in MODELS:
        asked, memory = in_turns(bench, model, graphs)
        by_spark, memory[SPARK] = ask_spark(bench, model)
        figures[model] = {name: spreads(turns) for name, turns in asked.items()} | {SPARK: spreads([by_spark])}
        figures[model]["memory"] = memory
        print_ways(f"{model}, one row", {name: found for name, found in figures[model].items() if name != "memory"})
        for share, target in (("p50", 1.7), ("p99", 2.0)):
            floor = share_of(asked[OURS], asked[HELLO], f"{share}_ms")
            ratios[f"{model}_{share}_over_hello_world"] = Ratio(floor, target)
        for rival in (ONNX, MLFLOW):
            ratios[f"{model}_p50_over_{rival}"] = Ratio(share_of(asked[OURS], asked[rival], "p50_ms"), 1.0)
        faster = by_spark["p50_ms"] / figures[model][OURS]["p50_ms"]["median"]
        ratios[f"{model}_times_faster_than_{SPARK}"] = Ratio(faster, 1_000, "at least")
        ratios[f"{model}_memory_mb"] = Ratio(memory[OURS]["largest_process_mb"], 200.0)
    return figures, ratios


def started(bench: Bench) -> Figures:
    """Seconds until Lakeloop answers that it is ready, and its memory then."""
    with running(ours(bench.folder / "conf"), bench.folder) as server:
        return {"seconds": server.seconds, **server.megabytes()}


def in_turns(bench: Bench, model: str, graphs: Path) -> tuple[dict[str, list[Figures]], dict[str, Figures]]:
    """Each server in turn, all of them there all the time; after the last turn the memory of each."""
    servers = {HELLO: FLOOR, OURS: ours(bench.folder / "conf"), ONNX: by_onnxruntime(graphs),
               MLFLOW: bench.by_mlflow(MLFLOW, model, "scorer")}  # fmt: skip
    asked: dict[str, list[Figures]] = {name: [] for name in servers}
    with ExitStack() as ends:
        there = {name: ends.enter_context(running(server, bench.folder)) for name, server in servers.items()}
        files = {name: bench.requests_file(name, requests_of(name, model)) for name in servers}
        for _ in range(bench.turns):
            for name, server in there.items():
                less = SLOWER if name == MLFLOW else 1
                asked[name].append(turn(server, files[name], bench.requests // less, WARM_UPS // less))
        return asked, {name: server.megabytes() for name, server in there.items()}


def ask_spark(bench: Bench, model: str) -> tuple[Figures, Figures]:
    """A few requests to MLflow's server of Spark's own pipeline, and its memory."""
    with running(bench.by_mlflow(SPARK, model, "model"), bench.folder) as there:
        file = bench.requests_file(SPARK, requests_of(SPARK, model))
        return turn(there, file, SPARK_REQUESTS, SPARK_WARM_UPS), there.megabytes()


def turn(server: Running, file: Path, requests: int, warm_ups: int) -> Figures:
    """What a client in a process of its own measures."""
    words = (str(file), str(server.port), str(requests), str(warm_ups))
    return measured([sys.executable, "-m", "benchmarks.serving_client", *words])


def requests_of(name: str, model: str) -> list[str]:
    """The same customers, as each server takes them."""
    if name == HELLO:
        return [request_text("GET", "/")]
    rows = rows_to_ask(ASKED_ROWS)
    if name == OURS:
        return [request_text("POST", f"/models/{model}/score", {"row": row}) for row in rows]
    if name == ONNX:
        return [request_text("POST", f"/{model}", row) for row in rows]
    split = [{"dataframe_split": {"columns": list(row), "data": [list(row.values())]}} for row in rows]
    return [request_text("POST", "/invocations", body) for body in split]


def write_graphs(bench: Bench) -> Path:
    """The graphs that onnxruntime answers by, from the very numbers of the champions' scorers."""
    graphs = bench.folder / "graphs"
    graphs.mkdir(exist_ok=True)
    for model in MODELS:
        release = bench.folder / f"release-{model}"
        release.mkdir(exist_ok=True)
        fetch_release(bench.lake, str(bench.champion(model).release), release)
        ask("fastapi_onnxruntime", "rivals.onnx_file", str(release / "scorer.zip"), str(graphs), model)
    return graphs


if __name__ == "__main__":
    main()
