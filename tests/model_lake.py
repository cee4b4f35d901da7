"""A small lake with models that were made by hand: releases, the ledger, and the table that features come from."""

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import requests
from deltalake import write_deltalake

from lakeloop.lake.champions import Action, Role, Switch, append_switch, put_release
from lakeloop.scoring.release import digest_of, write_release
from lakeloop.scoring.scorer import Scorer
from lakeloop.scoring.stages.linear import BinaryLinear
from lakeloop.scoring.stages.scalars import Impute, Index
from lakeloop.scoring.stages.vectors import Assemble, OneHot, Scale

ROOM = Path(__file__).parents[1]
COLUMNS = {"age": "double", "plan": "string", "visits": "int", "member": "boolean", "since": "date"}
CUSTOMERS = "gold.customers"


def scorer(shift: float = 0.0) -> Scorer:
    """The margin is 2 * age / 10 - 1 + shift, and 0.5 more for plan a, 0.25 less for plan b; age is 4 where NULL."""
    stages = [
        Impute(["age"], ["filled"], [4.0], float("nan")),
        Index(["plan"], ["index"], [["a", "b"]], keeps=True),
        OneHot(["index"], ["slots"], [2]),
        Assemble(["filled", "slots"], "assembled"),
        Scale("assembled", "features", np.zeros(3), np.array([0.1, 1.0, 1.0])),
        BinaryLinear("features", "raw", "probability", "prediction", np.array([2.0, 0.5, -0.25]), shift - 1.0, 0.0),
    ]
    return Scorer(COLUMNS, stages, "binary")


def share(margin: float) -> float:
    """The probability of a margin."""
    return float(1 / (1 + np.exp(-margin)))


def publish(root: str, shift: float = 0.0, model: str = "churn") -> str:
    """A release in the lake; gives where."""
    rows = [{"age": float(age), "plan": plan} for age in range(5) for plan in ("a", "b", "c")]
    with TemporaryDirectory() as folder:
        path = Path(folder)
        write_release(path, scorer(shift), model=model, table=CUSTOMERS, key="id", background=rows, probes=rows)
        return put_release(root, f"{model}/{digest_of(path)}", path)


def switch(
    root: str,
    version: int | None,
    *,
    model: str = "churn",
    role: Role = "champion",
    shift: float = 0.0,
    percent: float | None = None,
    release: str | None = None,
    action: Action = "promoted",
    lead: float = 1.5,
) -> Switch:
    """Put a version in a role."""
    there = release or (publish(root, shift, model) if version is not None else None)
    wanted = Switch(model, role, action, version, "ann", "a test", "run-1", release=there, percent=percent)
    return append_switch(root, lambda _: replace(wanted), dt.timedelta(seconds=lead))


def write_customers(root: str, rows: list[dict[str, Any]], mode: Any = "overwrite") -> None:
    """The table that features come from."""
    schema = pa.schema({
        "id": pa.string(), "age": pa.float64(), "plan": pa.string(), "visits": pa.int32(), "member": pa.bool_(),
        "since": pa.date32(), "at": pa.timestamp("us", "UTC"),
    })  # fmt: skip
    write_deltalake(f"{root}/{CUSTOMERS.replace('.', '/')}", pa.Table.from_pylist(rows, schema=schema), mode=mode)


def write_conf(folder: Path, access: str = "") -> str:
    """A configuration under `folder/conf` for a lake under `folder/lake`; gives the lake's root."""
    (folder / "conf/base").mkdir(parents=True)
    (folder / "conf/local").mkdir()
    (folder / "conf/base/platform.yml").write_text(f"lake: {folder}/lake\nsecrets_folder: {folder}/secrets\n")
    if access:
        (folder / "conf/base/access.yml").write_text(access)
    return str(folder / "lake")


class Served:
    """A process that serves models, and its address."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self.process, self.url = process, url

    def score(self, body: Any, model: str = "churn", **more: Any) -> requests.Response:
        return requests.post(f"{self.url}/{model}/score", json=body, timeout=30, **more)


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[Served]:
    """`serve models` in a process of its own, ready when this begins, ended when it ends."""
    command = [
        sys.executable,
        "-m",
        "lakeloop.serving.model_process",
        "--port",
        "0",
        "--conf-dir",
        f"{folder}/conf",
        *options,
    ]
    environment = os.environ | {"PYTHONPATH": f"{ROOM}/lib"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        assert said.startswith("Models API: "), said
        served = Served(process, said.removeprefix("Models API: ").strip())
        health = served.url.removesuffix("/models")
        for _ in range(600):
            try:
                if requests.get(f"{health}/readyz", timeout=30).status_code == 200:
                    break
            except requests.ConnectionError:
                pass
            assert process.poll() is None
        yield served
    finally:
        process.terminate()
        process.wait(timeout=30)
        process.stdout.close()
