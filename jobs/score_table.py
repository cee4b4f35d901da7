"""Score a table: `spark-submit --properties-file conf/base/spark.properties jobs/score_table.py churn`."""

import argparse
from collections.abc import Sequence

from lakeloop import entry_point, verbs


def main(argv: Sequence[str] | None = None) -> None:
    """Let a model's champion score its table; print what was done as a JSON line."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("name")
    project, context, arguments = entry_point.start("score", parser, argv)
    entry_point.report(verbs.score_table(project, arguments.name, context))


if __name__ == "__main__":
    main()
