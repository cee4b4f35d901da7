"""`lakeloop run` that is killed at a step: `python -m drills.killed_run CONF STEP PIPELINE…` (STEP may be empty).

Not a mock: the process and its JVM get SIGKILL as from outside, right before or after the real step.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.core.errors import LakeloopError
from lakeloop.core.run_record import RunContext
from lakeloop.ingestion import publishing
from lakeloop.ingestion.sources.cdc import CdcReader
from lakeloop.ingestion.sources.replay import WithReplays
from lakeloop.lake.ledger import Ledger
from lakeloop.lake.tables import Lake

STEPS: dict[str, tuple[object, str]] = {
    "plan": (Ledger, "plan"),
    "bronze": (Lake, "write"),
    "publish": (Lake, "publish_view"),
    "merge": (publishing, "merge_latest"),
    "catalog": (WithReplays, "finish"),
    "ledger": (Ledger, "record"),
    # Of a source of changes: `landing` ends with the files of a batch, `advance` lets the server forget it.
    "landing": (CdcReader, "plan"),
    "changes": (publishing, "publish_changes"),
    "advance": (CdcReader, "finish"),
    "release": (CdcReader, "release"),
}


def before_and_after(steps: Iterable[str]) -> list[str]:
    """Both moments of each step."""
    return [f"{when} {step}" for step in steps for when in ("before", "after")]


APPEND_STEPS = before_and_after(("plan", "bronze", "publish", "catalog", "ledger"))
MERGE_STEPS = before_and_after(("plan", "bronze", "merge", "catalog", "ledger"))
CHANGE_STEPS = before_and_after(("landing", "plan", "bronze", "changes", "advance", "ledger", "release"))


def main(conf: Path, step: str, names: Sequence[str] = ()) -> None:
    """Run pipelines (none named: all); with a step, die there. A failure is one sentence, as the command says it."""
    if step:
        when, name = step.split()
        owner, method = STEPS[name]
        setattr(owner, method, _deadly(getattr(owner, method), when))
    summary = verbs.run(Project(conf), names, RunContext("run", "local"))
    if summary.failures:
        sys.exit("\n".join(f"{name}: {type(error).__name__}: {error}" for name, error in summary.failures.items()))


def _deadly(method: Callable[..., Any], when: str) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        if when == "before":
            os.killpg(os.getpgid(0), signal.SIGKILL)
        result = method(*arguments, **options)
        os.killpg(os.getpgid(0), signal.SIGKILL)
        return result

    return call


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "", sys.argv[3:])
    except LakeloopError as error:
        sys.exit(f"{type(error).__name__}: {error}")
