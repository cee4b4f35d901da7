"""`make bench-models`: the declared models beside scikit-learn's best simple ones, on the same folds and test rows."""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import ROOT, Ratio, write_result
from benchmarks.model_rivals import SEED, fold_scores, rivals_of, scores_of
from demo.sources import running_sources
from demo.world import DAYS, World
from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.core.run_record import RunContext
from lakeloop.training.algorithms import LABEL_COL
from lakeloop.training.folds.dealing import deal_folds, hold_out
from lakeloop.training.spec.model import ModelSpec
from lakeloop.training.train import TrainingResult

MODELS = ("churn", "housing", "bad_loans")
CLOSE = 0.01
console = Console()


def main() -> None:
    """Bring both days of the demo's world into a lake, train, and write `results/models.json`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--only", choices=MODELS)
    only = parser.parse_args().only
    figures: dict[str, Any] = {"seed": SEED}
    ratios: dict[str, Ratio] = {}
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as temporary:
        Path(temporary).chmod(0o755)  # PostgreSQL may run under another account
        with running_sources(Path(temporary), World(), max(DAYS)):
            project, context = Project(ROOT / "conf"), RunContext("bench", "local")
            for error in verbs.run(project, [], context).failures.values():
                raise SystemExit(str(error))
            for name in (only,) if only else MODELS:
                trained = verbs.train_model(project, name, context)
                assert trained.result is not None
                frame = verbs.open_lake(project).read(trained.result.spec.table)
                figures[name], of_model = bench_model(trained.result, frame)
                ratios |= of_model
    write_result("models_tried" if only else "models", figures, ratios)


def bench_model(result: TrainingResult, frame: DataFrame) -> tuple[dict[str, Any], dict[str, Ratio]]:
    """The champion's figures beside those of each rival: the means over the folds, and once on the test rows."""
    spec, metric = result.spec, result.spec.select_by
    train, test = hold_out(spec, _labelled(spec, frame))
    rows, held_out = deal_folds(spec, train).toPandas(), test.toPandas()
    ours = {
        "candidate": str(result.winner.point), "seconds": result.seconds,
        "folds": [fold[metric] for fold in result.winner.folds], "folds_mean": result.winner.mean[metric],
        "test": result.test.figures()[metric],
        "candidates": {str(score.point): score.mean[metric] for score in result.candidates},
    }  # fmt: skip
    rivals: dict[str, dict[str, Any]] = {}
    for name, rival in rivals_of(spec).items():
        started = time.monotonic()
        folds = fold_scores(spec, rival, rows)
        rivals[name] = {
            "folds": folds, "folds_mean": sum(folds) / len(folds), "test": scores_of(spec, rival, rows, held_out),
            "seconds": time.monotonic() - started,
        }  # fmt: skip
    _show(spec.model, metric, ours, rivals)
    ratios = {
        f"{spec.model}_{metric}_behind_on_{part}": Ratio(
            max(rival[key] for rival in rivals.values()) - ours[key], CLOSE
        )
        for part, key in (("folds", "folds_mean"), ("test_rows", "test"))
    }
    found = {"metric": metric, "rows": result.rows_train + result.rows_test, "rows_test": result.rows_test}
    return {**found, "ours": ours, "scikit_learn": rivals}, ratios


def _labelled(spec: ModelSpec, frame: DataFrame) -> DataFrame:
    label = F.col(spec.label.column)
    answer = label if spec.task == "regression" else label.cast("string") == spec.label.positive_text
    return frame.withColumn(LABEL_COL, answer.cast("double"))


def _show(model: str, metric: str, ours: dict[str, Any], rivals: dict[str, dict[str, Any]]) -> None:
    table = Table(model, f"{metric}, mean of the folds", "on the test rows", "seconds")
    for name, found in {f"ours: {ours['candidate']}": ours, **rivals}.items():
        table.add_row(name, *(f"{found[key]:.4f}" for key in ("folds_mean", "test")), f"{found['seconds']:.0f}")
    console.print(table)


if __name__ == "__main__":
    main()
