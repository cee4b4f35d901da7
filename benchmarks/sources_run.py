"""One run of a configuration in a process of its own: warmed with other settings, then timed; prints JSON."""

import json
import os
import sys
import time
from pathlib import Path

from benchmarks.cpu_time import cpu_seconds
from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.core.run_record import RunContext


def main(conf: Path, *steps: str) -> None:
    """Run what is declared for each `NAME=value` of the steps, twice in lakes of their own, then as it is asked for.

    The steps do all that may be measured on a small scale, so that compilers have done most of theirs by then.
    """
    asked = dict(os.environ)
    for number in range(2):
        for step in steps:
            name, _, value = step.partition("=")
            os.environ |= {name: value, "LAKELOOP_LAKE": f"{asked['LAKELOOP_LAKE']}_warm/{os.getpid()}_{number}"}
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
