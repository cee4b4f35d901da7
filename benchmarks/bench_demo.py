"""`make bench-demo`: a pipeline beside hand-written Spark, the planted defects, and churn beside scikit-learn."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.measuring import Ratio, spread, write_result
from benchmarks.orders_data import write_conf, write_orders
from demo.sources import running_sources
from demo.truth import defect_rows
from demo.world import World
from lakeloop import verbs
from lakeloop.core.config import Project
from lakeloop.core.run_record import RunContext
from lakeloop.training.folds.dealing import hold_out
from lakeloop.training.train import TrainingResult

ROOT = Path(__file__).parents[1]
SEED = 7
SMALL, LARGE = 200_000, 2_000_000
console = Console()


def main() -> None:
    """Run all three parts and write `results/demo.json`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory(prefix="lakeloop-bench-") as folder:
        orders, order_ratios = bench_orders(Path(folder), repeats)
        loop, loop_ratios = bench_loop(Path(folder))
    write_result("demo", {"seed": SEED, "repeats": repeats, "orders": orders, **loop}, {**order_ratios, **loop_ratios})


def bench_orders(folder: Path, repeats: int) -> tuple[dict[str, Any], dict[str, Ratio]]:
    """`lakeloop run` of one pipeline over 2 million rows beside the same work in one file, in turn, a JVM each."""
    for rows in (SMALL, LARGE):
        write_orders(folder / f"orders_{rows}", rows, SEED)
    write_conf(folder / "conf", "\n".join((ROOT / part).read_text() for part in
                                          ("conf/base/spark.properties", "conf/local/spark.properties")))  # fmt: skip
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "handwritten": []}
    for turn in range(repeats):
        for way, results in runs.items():
            results.append(one_run(folder, way, LARGE, turn))
            console.print(f"{way}: {results[-1]}")
    small = one_run(folder, "ours", SMALL, 0)
    for ours, theirs in zip(runs["ours"], runs["handwritten"], strict=True):
        if (ours["good"], ours["bad"]) != (theirs["good"], theirs["bad"]):
            raise SystemExit(f"the two ways disagree: {ours} {theirs}")
    figures = {
        way: {name: spread([run[name] for run in results]) for name in results[0]} for way, results in runs.items()
    }
    pairs = [
        ours["seconds"] / theirs["seconds"] for ours, theirs in zip(runs["ours"], runs["handwritten"], strict=True)
    ]
    cpu = [o["cpu_seconds"] / t["cpu_seconds"] for o, t in zip(runs["ours"], runs["handwritten"], strict=True)]
    ours, theirs = figures["ours"], figures["handwritten"]
    ratios = {
        "orders_seconds_over_handwritten": Ratio(spread(pairs)["median"], 1.15),
        "orders_spark_jobs_over_handwritten": Ratio(ours["jobs"]["median"] / theirs["jobs"]["median"], 1.0),
        "live_heap_of_2_000_000_over_200_000_rows": Ratio(
            ours["live_heap_mib"]["median"] / small["live_heap_mib"], 1.1
        ),
        "python_peak_of_2_000_000_over_200_000_rows": Ratio(
            ours["python_peak_mib"]["median"] / small["python_peak_mib"], 1.1
        ),
    }
    figures |= {"rows": LARGE, "ours_200_000_rows": small, "cpu_ratio": spread(cpu)}
    return figures, ratios


def one_run(folder: Path, way: str, rows: int, turn: int) -> dict[str, Any]:
    """One measured process with a lake of its own."""
    drop = folder / f"orders_{rows}"
    lake = folder / f"lake_{way}_{rows}_{turn}"
    environment = {**os.environ, "LAKELOOP_LAKE": str(lake), "ORDERS_DROP": str(drop)}
    command = [sys.executable, "-m", "benchmarks.orders_run", way, str(folder / "conf"), str(drop)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def bench_loop(folder: Path) -> tuple[dict[str, Any], dict[str, Ratio]]:
    """Both days of the demo's world: its defects, and the champion beside scikit-learn on the same split."""
    world, project = World(), Project(ROOT / "conf")
    for day in (1, 2):
        with running_sources(folder / "world", world, day) as delivery:
            context = RunContext("bench", "local")
            summary = verbs.run(project, [], context)
            for error in summary.failures.values():
                raise SystemExit(str(error))
            if day == 2:
                rows = defect_rows(verbs.open_lake(project), delivery.planted)
                trained = verbs.train_model(project, "churn", context)
                assert trained.result is not None
                rival = scikit_learn(project, trained.result)
        project = Project(ROOT / "conf")
    planted, found, unexpected = (
        sum(getattr(row, name) for row in rows) for name in ("planted", "found", "unexpected")
    )
    test = trained.result.test
    figures = {
        "defects": {"planted": planted, "found": found, "unexpected": unexpected},
        "churn": {
            "champion": str(trained.result.winner.point), "train_seconds": trained.result.seconds,
            "area_under_roc": test.area_under_roc, "area_under_roc_interval": test.area_under_roc_interval,
            "area_under_pr": test.area_under_pr, "area_under_pr_interval": test.area_under_pr_interval,
            "hist_gradient_boosting": rival,
        },
    }  # fmt: skip
    console.print(figures)
    ratios = {
        "planted_defects_found": Ratio(found / planted, 1.0, "at least"),
        "good_rows_refused": Ratio(unexpected, 0),
        "auc_roc_behind_scikit_learn": Ratio(rival["area_under_roc"] - test.area_under_roc, 0.01),
    }
    return figures, ratios


def scikit_learn(project: Project, result: TrainingResult) -> dict[str, float]:
    """HistGradientBoosting with its defaults and categorical columns, on the same training and test rows."""
    spec, lake = result.spec, verbs.open_lake(project)
    parts = hold_out(spec, lake.read(spec.table))
    train, test = (part.toPandas() for part in parts)
    for name in spec.features.categorical:
        kinds = pd.CategoricalDtype(sorted(set(train[name].astype(str)) | set(test[name].astype(str))))
        train[name], test[name] = train[name].astype(str).astype(kinds), test[name].astype(str).astype(kinds)
    features, label, positive = list(spec.features.columns), spec.label.column, spec.label.positive_text
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=SEED)
    model.fit(train[features], train[label] == positive)
    score = model.predict_proba(test[features])[:, 1]
    actual = np.asarray(test[label] == positive)
    return {
        "area_under_roc": float(roc_auc_score(actual, score)),
        "area_under_pr": float(average_precision_score(actual, score)),
    }


if __name__ == "__main__":
    main()
