"""`lakeloop run` that is killed at a step: `python -m drills.killed_run CONF STEP PIPELINE…` (STEP may be empty).

Not a mock: the process and its JVM get SIGKILL as from outside, right before or after the real step.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lakeloop import verbs
from lakeloop.core.config import Project
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
    "catalog": (WithReplays, "finish"),
    "ledger": (Ledger, "record"),
}
# Of a source of changes: `landing` ends with the files of a batch, `advance` lets the server forget it.
CDC_STEPS: dict[str, tuple[object, str]] = {
    "landing": (CdcReader, "plan"),
    "plan": (Ledger, "plan"),
    "bronze": (Lake, "write"),
    "publish": (publishing, "publish_changes"),
    "advance": (CdcReader, "finish"),
    "ledger": (Ledger, "record"),
    "release": (CdcReader, "release"),
}
ALL_CDC_STEPS = [f"{when} {step}" for step in CDC_STEPS for when in ("before", "after")]
ALL_STEPS = [f"{when} {step}" for step in STEPS for when in ("before", "after")]


def main(conf: Path, step: str, names: Sequence[str] = ()) -> None:
    """Run pipelines (none named: all); with a step, die there."""
    if step:
        when, name = step.split()
        owner, method = (CDC_STEPS if names else STEPS)[name]
        setattr(owner, method, _deadly(getattr(owner, method), when))
    summary = verbs.run(Project(conf), names, RunContext("run", "local"))
    for error in summary.failures.values():
        raise error


def _deadly(method: Callable[..., Any], when: str) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        if when == "before":
            os.killpg(os.getpgid(0), signal.SIGKILL)
        result = method(*arguments, **options)
        os.killpg(os.getpgid(0), signal.SIGKILL)
        return result

    return call


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "", sys.argv[3:])
