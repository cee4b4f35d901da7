"""Serve models over HTTP, by a process that starts without what trains them."""

import os
import sys
from collections.abc import Sequence

from lakeloop.core.config import Project
from lakeloop.serving.access_spec import load_access, load_keys
from lakeloop.serving.models.process import require_guarded


def serve_models(
    project: Project,
    names: Sequence[str],
    host: str = "127.0.0.1",
    port: int = 8091,
    *,
    workers: int = 1,
    drain_seconds: float = 0.0,
) -> None:
    """Become the process that answers for models, all of the ledger where none are named; does not return.

    Raises ConfigError for keys that are wrong, and for an address that others reach where no key is declared.
    """
    access = load_access(project)
    require_guarded(access, host)
    load_keys(project, access)
    given = ["--host", host, "--port", port, "--workers", workers, "--drain-seconds", drain_seconds]
    given += ["--conf-dir", project.folder, "--env", project.environment]
    command = [sys.executable, "-m", "lakeloop.serving.models.process", *map(str, given), "--", *names]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    sys.stdout.flush()
    os.execve(sys.executable, command, environment)
