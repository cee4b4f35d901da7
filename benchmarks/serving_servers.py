"""Servers as they are started by hand: how long each takes until it is ready, and what it holds in memory."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.measuring import ROOT
from benchmarks.quality_rivals import python_of
from benchmarks.serving_client import HOST, Connection, request_text
from benchmarks.serving_lake import command

SECONDS_TO_START = 300


@dataclass(frozen=True)
class Server:
    """A command with `{port}` in it, and the path that answers 200 once it is ready."""

    name: str
    command: Sequence[str]
    ready: str
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Running:
    """A server that is ready after `seconds`."""

    name: str
    port: int
    seconds: float
    process: psutil.Process

    def megabytes(self) -> dict[str, float]:
        """Resident memory: of all of its processes, and of the largest."""
        sizes = []
        for process in (self.process, *self.process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                sizes.append(process.memory_info().rss / 1e6)
        return {"all_processes_mb": sum(sizes), "largest_process_mb": max(sizes)}


@contextmanager
def running(server: Server, folder: Path) -> Iterator[Running]:
    """Start a server in `folder` and kill it at the end; raises SystemExit with its words where it does not start."""
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}", **server.environment}
    with tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            [word.format(port=port) for word in server.command], cwd=folder, env=environment, stdout=log, stderr=log,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            while not is_ready(port, server.ready):
                if process.poll() is not None or time.perf_counter() - began > SECONDS_TO_START:
                    log.seek(0)
                    raise SystemExit(f"{server.name} is not ready\n{log.read().decode(errors='replace')[-4000:]}")
                time.sleep(0.01)
            yield Running(server.name, port, time.perf_counter() - began, psutil.Process(process.pid))
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def is_ready(port: int, path: str) -> bool:
    """Whether something listens and answers 200."""
    try:
        with Connection(port, seconds=10) as connection:
            return connection.ask(request_text("GET", path).encode())[0] == 200
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


FLOOR = Server("FastAPI, hello world", (sys.executable, "-m", "benchmarks.serving_floor", "{port}"), "/")


def ours(conf: Path, workers: int = 1) -> Server:
    """Every model that has a champion, with validation and the log of predictions, as it is shipped."""
    words = command("serve", "models", "--port", "{port}", "--workers", str(workers), "--conf-dir", str(conf))
    return Server("Lakeloop", words, "/readyz")


def by_mlflow(name: str, model_uri: str, tracking_uri: str) -> Server:
    """`mlflow models serve` in the present environment."""
    mlflow = str(Path(sys.executable).with_name("mlflow"))
    words = (mlflow, "models", "serve", "--model-uri", model_uri, "--env-manager", "local", "--host", HOST, "--port")
    # Spark's workers must run in the interpreter of this environment.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    settings = {"MLFLOW_TRACKING_URI": tracking_uri, "MLFLOW_DISABLE_TELEMETRY": "true",
                "PYSPARK_PYTHON": sys.executable, "PATH": path}  # fmt: skip
    return Server(name, (*words, "{port}"), "/ping", settings)


def by_onnxruntime(graphs: Path) -> Server:
    """A small FastAPI application that one would write by hand, in an environment of its own."""
    words = (python_of("fastapi_onnxruntime"), "-m", "benchmarks.rivals.fastapi_onnxruntime", str(graphs), "{port}")
    return Server("FastAPI and onnxruntime", words, "/ready")
