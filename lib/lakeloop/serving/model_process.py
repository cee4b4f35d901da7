"""The process that serves models: started light, without what trains and runs pipelines.

`python -m lakeloop.serving.model_process churn --port 8091 --workers 2`. With several workers this process holds the
socket and starts as many that answer from it; they end with it, and one that ends by itself is started again.
"""

import argparse
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

from lakeloop.core import logs
from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError, LakeloopError
from lakeloop.core.run_record import RunContext
from lakeloop.serving.access_spec import AccessSpec, Keys, load_access, load_keys
from lakeloop.serving.listening import address_of, is_loopback, listen

log = logs.get(__name__)

GRACE_SECONDS = 30  # for requests under way when the process is told to end
AGAIN_SECONDS = 1.0  # before a worker that has ended is started again
DELTA_MEMORY = ("_RJEM_MALLOC_CONF", "narenas:1,dirty_decay_ms:500,muzzy_decay_ms:0")  # 30 MB less of free pages kept
SWITCH_SECONDS = 0.0001  # how long another thread may keep an answer waiting


class WithoutPandas(MetaPathFinder):
    """Keeps Arrow from importing pandas as soon as it finds it: a second and 60 MB that answers have no use for."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:  # noqa: ARG002 - the import system's
        """Say that there is no pandas, and nothing of others."""
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is left out of this process", name=fullname)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the process is told to end; a mistake of the user's is said in one sentence."""
    arguments = _arguments(argv)
    try:
        project = Project(arguments.conf_dir, arguments.env)
        _configure_logs(project, arguments.env)
        access = load_access(project)
        require_guarded(access, arguments.host)
        keys = load_keys(project, access) if access.keys else None
        if arguments.workers > 1:
            return _supervise(_listening(arguments.host, arguments.port), arguments)
        inherited = arguments.socket
        listening = _listening(arguments.host, arguments.port) if inherited is None else socket.socket(fileno=inherited)
        _serve(project, access, keys, arguments, listening)
    except LakeloopError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def require_guarded(access: AccessSpec, host: str) -> None:
    """Raise ConfigError where others than this machine would reach models without a key, or no key reaches any."""
    if any(spec.models for spec in access.keys.values()):
        return
    if access.keys:
        raise ConfigError("no key in access.yml has models, so nobody could ask: give one of them `models: [churn]`")
    if is_loopback(host):
        return
    raise ConfigError(
        f"{host} is reached from elsewhere and no key in access.yml has models: give a key `models: [churn]`, "
        "or leave --host out to serve this machine alone"
    )


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*", help="Models; none means all")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8091)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--drain-seconds", type=float, default=0.0)
    parser.add_argument("--conf-dir", type=Path, default=Path("conf"))
    parser.add_argument("--env", default="local")
    parser.add_argument("--socket", type=int, help=argparse.SUPPRESS)  # of a worker: the socket of its parent
    parser.add_argument("--alive", type=int, help=argparse.SUPPRESS)  # a pipe that ends when the parent does
    return parser.parse_args(argv)


def _configure_logs(project: Project, env: str) -> None:
    root, context = project.lake_root, RunContext("serve", env)
    logs.configure(None if "://" in root else Path(root) / "_logs" / f"{context.run_id}.jsonl")


def _listening(host: str, port: int) -> socket.socket:
    listening = listen(host, port)
    sys.stdout.write(f"Models API: {address_of(listening, host)}/models\n")
    sys.stdout.flush()
    return listening


def _serve(
    project: Project, access: AccessSpec, keys: Keys | None, arguments: argparse.Namespace, listening: socket.socket
) -> None:
    try:
        import uvicorn

        from lakeloop.serving.model_api import build_app
        from lakeloop.serving.model_service import ModelService
    except ImportError as error:
        raise ConfigError(
            f"serving needs the extra: pip install 'lakeloop[serving]' ({error.name} is missing)"
        ) from error
    sys.setswitchinterval(SWITCH_SECONDS)
    service = ModelService.of(project.lake_root, arguments.names)
    app = build_app(service, keys, access.requests_per_minute_without_key)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, date_header=False,
        timeout_keep_alive=75, timeout_graceful_shutdown=GRACE_SECONDS, backlog=1024,
    )  # fmt: skip

    class Draining(uvicorn.Server):
        """Says that it is not ready as soon as it is told to end, and ends a while later."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            gc.collect()
            gc.freeze()  # what is loaded is not walked through again and again

        def handle_exit(self, sig: int, frame: Any) -> None:
            if service.is_ending or not arguments.drain_seconds:
                service.is_ending = True
                super().handle_exit(sig, frame)
                return
            service.is_ending = True
            timer = threading.Timer(arguments.drain_seconds, super().handle_exit, (sig, frame))
            timer.daemon = True
            timer.start()

    server = Draining(config)
    if arguments.alive is not None:
        threading.Thread(target=_end_with, args=(arguments.alive,), name="parent", daemon=True).start()
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listening])


def _end_with(pipe: int) -> None:
    """End this process when its parent, which holds the other end, is gone."""
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _supervise(listening: socket.socket, arguments: argparse.Namespace) -> int:
    """Keep as many workers as wanted until told to end, then let them end."""
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    listening.set_inheritable(True)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    command = [
        sys.executable, "-m", "lakeloop.serving.model_process", *arguments.names, "--host", arguments.host,
        "--drain-seconds", str(arguments.drain_seconds), "--conf-dir", str(arguments.conf_dir), "--env", arguments.env,
        "--socket", str(listening.fileno()), "--alive", str(reading),
    ]  # fmt: skip

    def started() -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, pass_fds=(listening.fileno(), reading), start_new_session=True)

    workers = [started() for _ in range(arguments.workers)]
    while not ended.wait(AGAIN_SECONDS):
        for at, worker in enumerate(workers):
            if worker.poll() is not None:
                log.error("worker ended", pid=worker.pid, returncode=worker.returncode)
                workers[at] = started()
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.wait()
    os.close(writing)
    return 0


if __name__ == "__main__":
    sys.meta_path.insert(0, WithoutPandas())
    os.environ.setdefault(*DELTA_MEMORY)  # read when delta-rs is loaded, which is later
    sys.exit(main())
