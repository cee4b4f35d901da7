"""What an engine finds among the planted faults, in its own environment: prints rules and rows, or numbers, as JSON."""

import importlib
import json
import os
import sys
from typing import Any

from pyspark.sql import SparkSession

from benchmarks.planted_faults import COUNTRIES, SCHEMA, planted, planted_rows, precision_and_recall


def main(name: str) -> None:
    """Run `verdicts` of a module over the planted rows."""
    module = importlib.import_module(name)
    settings = json.loads(os.environ["SPARK_SETTINGS"]) | getattr(module, "SETTINGS", {})
    spark = SparkSession.builder.appName(name).config(map=settings).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    countries = spark.createDataFrame([(code,) for code in COUNTRIES], "code string")
    found = module.verdicts(spark, spark.createDataFrame(planted_rows(), SCHEMA), countries)
    print(json.dumps(found), flush=True)
    os._exit(0)


def judged(found: dict[str, Any]) -> dict[str, Any]:
    """Each rule's precision and recall and the rows in which it errs; of an engine that only counts, both numbers."""
    return {rule: _judged(rule, what) for rule, what in found.items()}


def _judged(rule: str, found: list[int] | int | str) -> Any:
    name = rule.split(",", maxsplit=1)[0]
    if isinstance(found, str):
        return {"not judged": found}
    if isinstance(found, int):
        return {"found": found, "planted": len(planted(name)), "right": found == len(planted(name))}
    precision, recall = precision_and_recall(name, set(found))
    too_many, missed = sorted(set(found) - planted(name)), sorted(planted(name) - set(found))
    return {"precision": precision, "recall": recall, "too_many": too_many, "missed": missed,
            "right": not (too_many or missed)}  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])
