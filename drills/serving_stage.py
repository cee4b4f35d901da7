"""What a drill of serving has: a trained model with two sound versions, MLflow's server, and the service itself."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

from benchmarks.serving_client import HOST
from benchmarks.serving_lake import LINEAR, command, environment, train, write_project
from benchmarks.serving_servers import free_port, is_ready
from drills.runs import stop_run, wait_until
from drills.serving_versions import add_version, shifted
from lakeloop.core.config import Project
from lakeloop.core.run_record import RunContext
from lakeloop.lake.champions import Switch, holder, switches
from lakeloop.registry import ModelRegistry
from lakeloop.training.spec.model import ModelSpec
from lakeloop.verbs.champions import put_in_place

ROWS = 600
START_SECONDS = 120
MODEL = LINEAR
HASTY_PER_SECOND = 10
KEYS = {"steady": 600_000, "hasty": 60 * HASTY_PER_SECOND}  # requests in a minute
ACCESS = "keys:\n" + "".join(
    f'  {name}: {{key: "${{secret:{name}}}", models: ["*"], requests_per_minute: {limit}}}\n'
    for name, limit in KEYS.items()
)


def key_of(name: str) -> str:
    return f"{name}-0123456789abcdef"


class Tracking:
    """MLflow's server, with all that it keeps in a folder, at one port however often it is started."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.folder.mkdir(exist_ok=True)
        mlflow = str(Path(sys.executable).with_name("mlflow"))
        words = (
            mlflow, "server", "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db", "--artifacts-destination",
            f"{self.folder}/artifacts", "--host", HOST, "--port", str(self.port), "--workers", "1",
        )  # fmt: skip
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                words, cwd=self.folder, env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}, stdout=log,
                stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_until(lambda: is_ready(self.port, "/health"), START_SECONDS, "MLflow's server is not there")

    def stop(self) -> None:
        """Kill it, as a machine does that goes away."""
        if self._process is not None:
            stop_run(self._process)


class Service:
    """`lakeloop serve models`, running."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.port, self.workers = free_port(), workers
        words = ("serve", "models", "--port", str(self.port), "--workers", str(workers), "--conf-dir", f"{folder}/conf")
        self._log = folder / "service.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command(*words), cwd=folder, env=environment(), stdout=log, stderr=log, start_new_session=True
            )

    def __enter__(self) -> Self:
        try:
            wait_until(lambda: is_ready(self.port, "/readyz"), START_SECONDS, f"the service is not ready\n{self.log}")
        except SystemExit:
            stop_run(self.process)
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        stop_run(self.process)

    @property
    def log(self) -> str:
        """The end of what it has printed."""
        return self._log.read_text(errors="replace")[-3000:]

    def worker_pids(self) -> set[int]:
        """The processes that answer: children that were given the socket; a single one is the command itself."""
        if self.workers == 1:
            return {self.process.pid}
        found = set()
        for child in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if "--socket" in child.cmdline() and child.status() != psutil.STATUS_ZOMBIE:
                    found.add(child.pid)
        return found

    def end(self) -> int:
        """Ask it to end, and wait; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@dataclass
class Stage:
    """A project whose model has two sound versions, 1 and 2, of which the first is champion."""

    folder: Path
    project: Project
    tracking: Tracking
    sound: tuple[int, int] = (1, 2)
    _files: Iterator[int] = field(default_factory=lambda: iter(range(1_000)))

    @property
    def root(self) -> str:
        return self.project.lake_root

    def answers_file(self) -> Path:
        """A new file for answers."""
        return self.folder / f"answers-{next(self._files)}.jsonl"

    def promote(self, version: int) -> Switch:
        """As `lakeloop champion promote`, without the comparison by Spark; raises PromotionRefusedError."""
        spec = self.project.document("models", MODEL).parse(ModelSpec)
        registry = ModelRegistry.of(self.project)
        registered = registry.registered(MODEL, version)
        context = RunContext("drill", "local")
        return put_in_place(self.project, spec, registry, registered, context, None, why="drill").switch

    def champion(self) -> int:
        """The version that answers once all that the ledger says has come."""
        held = holder(switches(self.root, MODEL), MODEL, "champion")
        assert held is not None
        assert held.version is not None
        return held.version

    def lakeloop(self, *words: str) -> "tuple[float, subprocess.CompletedProcess[str]]":
        """Run the command; the seconds that it took, and what it said."""
        began = time.monotonic()
        done = subprocess.run(
            command(*words, "--conf-dir", f"{self.folder}/conf"), cwd=self.folder, env=environment(),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return time.monotonic() - began, done


@contextmanager
def staged() -> Iterator[Stage]:
    """Train by MLflow's server, add a second sound version; everything is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="lakeloop-drill-") as name:
        folder = Path(name)
        tracking = Tracking(folder / "tracking")
        try:
            tracking.start()
            project = write_project(folder, ROWS, tracking.uri, access=ACCESS)
            for key in KEYS:
                (folder / "secrets" / key).write_text(key_of(key))
            train(folder, MODEL)
            stage = Stage(folder, project, tracking)
            assert add_version(project, MODEL, 1, shifted(0.5)) == 2
            yield stage
        finally:
            tracking.stop()
