"""Train a model: `spark-submit --properties-file conf/base/spark.properties jobs/train_model.py churn`."""

import argparse
from collections.abc import Sequence

from lakeloop import entry_point, verbs


def main(argv: Sequence[str] | None = None) -> None:
    """Train, register and, where the gates let it, promote; print what was done as a JSON line."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("name")
    project, context, arguments = entry_point.start("train", parser, argv)
    entry_point.report(verbs.train_model(project, arguments.name, context).entry)


if __name__ == "__main__":
    main()
