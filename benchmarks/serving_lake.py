"""A lake with a table of customers, and two models of it, trained by `lakeloop train`: what serving is measured on."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from benchmarks.churn_data import KINDS, NUMBERS, SEED, TEXTS, customers
from benchmarks.measuring import ROOT
from lakeloop.core.config import Project
from lakeloop.scoring.kinds import arrow_type

TABLE, KEY = "gold.customers", "customer_id"
LINEAR, FOREST = "churn_linear", "churn_forest"
CANDIDATES: dict[str, dict[str, Any]] = {
    LINEAR: {"logistic_regression": {"regParam": [0.001]}},
    FOREST: {"random_forest": {"numTrees": [40], "maxDepth": [8], "minInstancesPerNode": [10]}},
}


def write_project(folder: Path, rows: int, tracking_uri: str = "", **files: str) -> Project:
    """Write a project with its lake, `rows` customers in it and the models declared; `files` are more of conf/base.

    The gate of the champion lets every version pass, so that versions can take turns.
    """
    base = folder / "conf/base"
    for name in ("conf/base/models", "conf/base/pipelines", "conf/local", "secrets"):
        (folder / name).mkdir(parents=True)
    platform = {"lake": f"{folder}/lake", "secrets_folder": f"{folder}/secrets",
                **({"mlflow": {"tracking_uri": tracking_uri}} if tracking_uri else {})}  # fmt: skip
    texts = {"platform.yml": json.dumps(platform), "connections.yml": "{}\n"}
    texts |= {f"models/{model}.yml": json.dumps(_declared(model)) for model in CANDIDATES}
    texts |= {f"{name}.yml": text for name, text in files.items()}
    properties = "".join((ROOT / part / "spark.properties").read_text() for part in ("conf/base", "conf/local"))
    for name, text in {**texts, "spark.properties": properties}.items():
        (base / name).write_text(text)
    made = customers(rows)
    columns = {name: pa.array(made[name], arrow_type(kind), from_pandas=True) for name, kind in KINDS.items()}
    table = pa.table({KEY: pa.array(made[KEY], pa.int64()), **columns, "churn": pa.array(made["churn"], pa.string())})
    write_deltalake(f"{folder}/lake/{TABLE.replace('.', '/')}", table)
    return Project(folder / "conf", "local")


def command(*words: str) -> list[str]:
    """The command `lakeloop` of this checkout."""
    return [sys.executable, "-m", "lakeloop.cli", *words]


def environment() -> dict[str, str]:
    """What a process needs to find this checkout."""
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}"}


def train(folder: Path, *models: str) -> None:
    """Train models of the project in `folder`; each becomes champion. Raises SystemExit with what a failure said."""
    for model in models:
        done = subprocess.run(
            command("train", model, "--conf-dir", f"{folder}/conf"), cwd=folder, env=environment(), capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode or "is champion" not in done.stdout:
            raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])


def rows_to_ask(number: int) -> list[dict[str, Any]]:
    """Customers that the models did not see, with all columns known: MLflow takes no NULL for a whole number."""
    whole = customers(3 * number, SEED + 1).dropna().head(number)
    kinds: Mapping[str, type] = {"int": int, "bigint": int, "double": float, "string": str}
    return [{name: kinds[kind](row[name]) for name, kind in KINDS.items()} for row in whole.to_dict("records")]


def _declared(model: str) -> dict[str, Any]:
    return {
        "model": model, "description": "Who leaves", "owner": "bench", "table": TABLE, "key": KEY,
        "label": {"column": "churn", "positive": "Yes"}, "split": {"test": 0.2, "seed": SEED},
        "folds": {"count": 2, "seed": SEED}, "features": {"numeric": [*NUMBERS], "categorical": [*TEXTS]},
        "candidates": [CANDIDATES[model]], "gates": {"champion": {"by": -1.0}}, "scores": f"gold.{model}_scores",
    }  # fmt: skip
