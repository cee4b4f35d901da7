"""MLlib beside published figures: `spark-submit --properties-file … jobs/validate_reference.py`."""

import argparse
import sys
from collections.abc import Sequence

from lakeloop import entry_point
from lakeloop.core.errors import TrainingError
from lakeloop.training.reference_figures import Compared, compare_binary, compare_imbalanced
from lakeloop.verbs.lakes import open_lake


def main(argv: Sequence[str] | None = None) -> None:
    """Print accuracy, precision, recall and F1 of a classifier, and the accuracy of stratified folds.

    Raises TrainingError where MLlib's figure is not the published one.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    project, _, _ = entry_point.start("validate-reference", parser, argv)
    spark = open_lake(project).spark
    compared = [
        *_printed("binary classification", compare_binary(spark)),
        *_printed("imbalanced classes", compare_imbalanced(spark)),
    ]
    if differing := [each.figure for each in compared if not each.holds]:
        raise TrainingError(f"MLlib differs from the published figures: {', '.join(differing)}")
    sys.stdout.write(f"All {len(compared)} figures hold.\n")


def _printed(title: str, compared: Sequence[Compared]) -> Sequence[Compared]:
    lines = [f"{title:<24}{'published':>12}{'scikit-learn':>14}{'MLlib':>10}"]
    for each in compared:
        published = "" if each.published is None else f"{each.published:.4f}"
        lines.append(f"{each.figure:<24}{published:>12}{each.scikit_learn:>14.4f}{each.mllib:>10.4f}")
    sys.stdout.write("\n".join(lines) + "\n\n")
    return compared


if __name__ == "__main__":
    main()
