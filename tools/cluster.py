"""A real Spark standalone cluster on this machine: one master, some workers, all on loopback.

`make cluster` runs it until Ctrl-C; tests use `with StandaloneCluster() as cluster:`.
"""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import pyspark

from lakeloop.core.errors import LakeloopError
from lakeloop.core.java import ensure_java
from tools.until_stopped import until_stopped

SPARK_HOME = Path(pyspark.__file__).parent
PROPERTIES = Path(__file__).parents[1] / "conf/base/spark.properties"
DEPLOY = "org.apache.spark.deploy"
EXECUTOR = "CoarseGrainedExecutorBackend"
HOST = "127.0.0.1"
READY_SECONDS = 60
STOP_SECONDS = 10


class StandaloneCluster:
    """Starts on entry, ready when every worker is alive; stops the processes it started on exit, and only those.

    Attributes:
        url: The master's address for `spark-submit --master`.
        ui: The master's web page.
        folder: Logs of master and workers, the workers' own folders; a temporary folder, gone on exit.
        environment: What a `spark-submit` to this cluster needs in its environment.
    """

    def __init__(self, workers: int = 2, cores: int = 1, memory: str = "1g") -> None:
        self.workers = workers
        self.cores = cores
        self.memory = memory
        port, ui_port = free_ports(2)
        self.url = f"spark://{HOST}:{port}"
        self.ui = f"http://{HOST}:{ui_port}"
        self._master = ["--host", HOST, "--port", str(port), "--webui-port", str(ui_port)]

    def __enter__(self) -> Self:
        """Raises LakeloopError, with the end of a log, when a process ends or a worker is not alive within a minute."""
        ensure_java()
        self.environment = os.environ | {
            "SPARK_HOME": str(SPARK_HOME),
            "SPARK_LOCAL_IP": HOST,
            "SPARK_DAEMON_MEMORY": "512m",
            "PYSPARK_PYTHON": sys.executable,
        }
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lakeloop-cluster-")))
            processes = {"master": self._start(stack, "master", f"{DEPLOY}.master.Master", *self._master)}
            self._processes = processes
            for number in range(1, self.workers + 1):
                name = f"worker-{number}"
                size = ["--cores", str(self.cores), "--memory", self.memory, "--webui-port", "0"]
                place = ["--host", HOST, "--work-dir", str(self.folder / name)]
                processes[name] = self._start(stack, name, f"{DEPLOY}.worker.Worker", *place, *size, self.url)
            self._wait_until_alive(processes)
            self._running = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def submit_command(self, *arguments: str) -> list[str]:
        """The `spark-submit` that runs a script, with its arguments, on this cluster as declared in `conf/base`."""
        submit = [str(SPARK_HOME / "bin/spark-submit"), "--master", self.url, "--properties-file", str(PROPERTIES)]
        return [*submit, "--executor-memory", "512m", *arguments]

    def executors(self) -> list[psutil.Process]:
        """The executors that run now, of all workers."""
        found = []
        for process in self._processes.values():
            with suppress(psutil.NoSuchProcess):
                found += psutil.Process(process.pid).children(recursive=True)
        return [each for each in found if any(EXECUTOR in word for word in _command(each))]

    def kill_executor(self) -> None:
        """End an executor as a lack of memory would; its worker starts another one."""
        self.executors()[0].kill()

    def kill_worker(self, number: int = 1) -> None:
        """End a worker with its executors, as the loss of their machine would."""
        process = self._processes[f"worker-{number}"]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _start(self, stack: ExitStack, name: str, *command: str) -> subprocess.Popen[bytes]:
        log = stack.enter_context((self.folder / f"{name}.log").open("wb"))
        # A session of its own, so that Ctrl-C in the terminal reaches this program alone, which then stops the rest.
        process = subprocess.Popen(
            [SPARK_HOME / "bin/spark-class", *command],
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        stack.callback(_stop, process)
        return process

    def _wait_until_alive(self, processes: dict[str, subprocess.Popen[bytes]]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while self._alive() < self.workers:
            ended = [name for name, process in processes.items() if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                name = ended[0] if ended else "master"
                problem = f"{name} ended" if ended else f"{self._alive()} of {self.workers} workers after a minute"
                end = "\n".join((self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-15:])
                raise LakeloopError(f"The cluster did not start: {problem}. The log of {name} ends:\n{end}")
            time.sleep(0.2)

    def _alive(self) -> int:
        try:
            with urllib.request.urlopen(f"{self.ui}/json/", timeout=2) as response:
                workers = json.load(response)["workers"]
        except OSError:
            return 0
        return sum(worker["state"] == "ALIVE" for worker in workers)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for free in sockets:
            free.bind((HOST, 0))
        return [free.getsockname()[1] for free in sockets]


def _command(process: psutil.Process) -> list[str]:
    with suppress(psutil.NoSuchProcess):
        return process.cmdline()
    return []


def _stop(process: subprocess.Popen[bytes]) -> None:
    # Its group, made by `start_new_session`: a worker's executors go too, and the launcher of a start cut short.
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)


def main() -> None:
    """Run a cluster until Ctrl-C or a terminate signal."""
    with until_stopped(), StandaloneCluster() as cluster:
        java = f"JAVA_HOME={shlex.quote(cluster.environment['JAVA_HOME'])}"
        python = f"PYSPARK_PYTHON={shlex.quote(sys.executable)}"
        submit = shlex.join(cluster.submit_command("your_script.py"))
        print(f"master  {cluster.url}\npage    {cluster.ui}\nlogs    {cluster.folder}")
        print(f"\n{java} {python} SPARK_LOCAL_IP={HOST} \\\n  {submit}\n\nCtrl-C stops it.", flush=True)
        signal.pause()


if __name__ == "__main__":
    main()
