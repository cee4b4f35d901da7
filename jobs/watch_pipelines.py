"""Watch: `spark-submit --properties-file conf/base/spark.properties jobs/watch_pipelines.py --every 30s`."""

import argparse
import signal
from collections.abc import Sequence
from threading import Event

from lakeloop import entry_point, verbs
from lakeloop.core.durations import parse_duration
from lakeloop.core.run_record import RunContext


def main(argv: Sequence[str] | None = None) -> None:
    """Run the named pipelines (none: all) again and again until SIGTERM; prints what each pass did as JSON lines."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--every", type=parse_duration, default="10s")
    project, _, arguments = entry_point.start("watch", parser, argv)
    stop = Event()
    verbs.open_lake(project)  # Spark sets a handler of its own when it starts
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def told(_: RunContext, summary: verbs.RunSummary) -> None:
        for entry in summary.entries:
            entry_point.report(entry)

    verbs.watch(project, arguments.names, arguments.every, stop, told)


if __name__ == "__main__":
    main()
