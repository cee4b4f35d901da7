"""`make bench-models`: the declared models beside scikit-learn's best simple ones, on the same folds and test rows."""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
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

MODELS = ("housing", "bad_loans", "churn")
CLOSE = 0.01
CONTEXT = RunContext("bench", "local")
console = Console()


def main() -> None:
    """Bring the demo's world into a lake, train, and write `results/models.json` (`models_tried.json` of one)."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--only", choices=MODELS)
    parser.add_argument("--lake", type=Path, help="a lake with the demo's tables, instead of one of the bench's own")
    arguments = parser.parse_args()
    with ExitStack() as undo:
        if arguments.lake:
            os.environ["LAKELOOP_LAKE"] = str(arguments.lake.resolve())
        else:
            undo.enter_context(filled_lake())
        figures, ratios = bench((arguments.only,) if arguments.only else MODELS)
    write_result("models_tried" if arguments.only else "models", figures, ratios)


@contextmanager
def filled_lake() -> Iterator[None]:
    """Both days of the demo's world, through all pipelines, in a lake that the environment names."""
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as temporary:
        Path(temporary).chmod(0o755)  # PostgreSQL may run under another account
        with running_sources(Path(temporary), World(), max(DAYS)):
            for error in verbs.run(Project(ROOT / "conf"), [], CONTEXT).failures.values():
                raise SystemExit(str(error))
            yield


def bench(names: Sequence[str]) -> tuple[dict[str, Any], dict[str, Ratio]]:
    """Each model, trained and registered, beside its rivals."""
    project = Project(ROOT / "conf")
    figures: dict[str, Any] = {"seed": SEED}
    ratios: dict[str, Ratio] = {}
    for name in names:
        trained = verbs.train_model(project, name, CONTEXT, partial(print, flush=True))
        if trained.result is None:
            raise SystemExit(f"{trained.entry.message}; name a lake where {name} has not been trained")
        frame = verbs.open_lake(project).read(trained.result.spec.table)
        figures[name], of_model = bench_model(trained.result, frame)
        ratios |= of_model
    return figures, ratios


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
