"""Run pipelines: `spark-submit --properties-file conf/base/spark.properties jobs/run_pipeline.py customers usage`."""

import argparse
from collections.abc import Sequence

from lakeloop import entry_point, verbs


def main(argv: Sequence[str] | None = None) -> None:
    """Run the named pipelines (none: all), print what each did as JSON lines, raise the first failure at the end.

    Alerts and the report's link stand in the log.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--all", action="store_true", help="all pipelines, as without a name")
    project, context, arguments = entry_point.start("run", parser, argv)
    if arguments.all and arguments.names:
        parser.error(f"all pipelines, or {', '.join(arguments.names)}; name some or say --all")
    summary = verbs.run(project, arguments.names, context)
    verbs.report_run(project, context, summary)
    for entry in summary.entries:
        entry_point.report(entry)
    for error in summary.failures.values():
        raise error


if __name__ == "__main__":
    main()
