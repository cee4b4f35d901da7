"""One run of a configuration in a process of its own: warmed with other settings, then timed; prints JSON."""

import json
import os
import sys
import time
from pathlib import Path

from benchmarks.orders_run import cpu_seconds
from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.core.run_record import RunContext


def main(conf: Path, *warm_settings: str) -> None:
    """Run what is declared twice with the `NAME=value` settings, in lakes of its own, then once as it is asked for."""
    asked = dict(os.environ)
    warm = dict(setting.split("=", 1) for setting in warm_settings)
    for number in range(2):
        os.environ |= warm | {"LAKELOOP_LAKE": f"{asked['LAKELOOP_LAKE']}_warm/{os.getpid()}_{number}"}
        run(conf)
    os.environ |= asked
    started, cpu = time.monotonic(), cpu_seconds()
    rows = run(conf)
    print(json.dumps({"seconds": time.monotonic() - started, "cpu_seconds": cpu_seconds() - cpu, "rows": rows}))


def run(conf: Path) -> int:
    """The rows that one run of all pipelines read."""
    summary = verbs.run(Project(conf), [], RunContext("bench", "local"))
    for error in summary.failures.values():
        raise SystemExit(str(error))
    return sum(entry.counts.read for entry in summary.entries)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
