"""`mlflow models serve`, a real process on loopback, answers for what a training logs under `scorer/`."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
import requests

from lakeloop.scoring.release import write_release
from lakeloop.scoring.scorer import Scorer
from lakeloop.scoring.stages.linear import BinaryLinear
from lakeloop.scoring.stages.scalars import Impute, Index
from lakeloop.scoring.stages.vectors import Assemble, OneHot
from tests.services.alert_receivers import free_port

pytestmark = pytest.mark.slow
SECONDS = 120
# margin = 0.1 age - 3, 1 more on the plan "plus"; an age that is missing counts as 40
SCORER = Scorer(
    {"age": "double", "plan": "string"},
    [
        Impute(["age"], ["filled"], [40.0], float("nan")), Index(["plan"], ["index"], [["basic", "plus"]], keeps=True),
        OneHot(["index"], ["slots"], [2]), Assemble(["filled", "slots"], "features"),
        BinaryLinear("features", "raw", "probability", "prediction", np.array([0.1, 0.0, 1.0]), -3.0, 0.0),
    ],
    "binary",
)  # fmt: skip


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a server of the model answers."""
    folder, port = tmp_path_factory.mktemp("served"), free_port()
    (folder / "release").mkdir()
    write_release(folder / "release", SCORER, model="churn", table="gold.people", key="id", background=[], probes=[])
    mlflow.pyfunc.save_model(
        path=str(folder / "scorer"), loader_module="lakeloop.scoring.pyfunc", data_path=str(folder / "release"),
        pip_requirements=["lakeloop"],
    )  # fmt: skip
    command = [
        sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(folder / "scorer"), "--host", "127.0.0.1",
        "--port", str(port), "--workers", "1", "--env-manager", "local",
    ]  # fmt: skip
    # It looks for uvicorn on the path.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(Path(__file__).parents[2] / "lib")}
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said, start_new_session=True)
        try:
            _await(f"http://127.0.0.1:{port}", process, folder / "said")
            yield f"http://127.0.0.1:{port}"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)  # it has a group of its own, with its worker
            process.wait(timeout=SECONDS)


def _await(url: str, process: "subprocess.Popen[bytes]", said: Path) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            if requests.get(f"{url}/ping", timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    raise AssertionError(said.read_text())


def test_rows_are_answered_as_the_scorer_answers_them(address: str) -> None:
    rows = [{"age": 25.0, "plan": "plus"}, {"age": None, "plan": None}, {"age": 25.0, "plan": "plus"}]
    answer = requests.post(f"{address}/invocations", json={"dataframe_records": rows}, timeout=30)
    assert answer.status_code == 200, answer.text
    said = answer.json()["predictions"]
    # margins 0.5 and 1
    assert [row["prediction"] for row in said] == [1.0, 1.0, 1.0]
    assert [row["probability"] for row in said] == pytest.approx([1 / (1 + np.exp(-m)) for m in (0.5, 1.0, 0.5)])
    assert [row["probability"] for row in said] == [SCORER.score(row)[1] for row in rows]


def test_a_value_of_another_kind_is_refused_by_name(address: str) -> None:
    rows = [{"age": "old", "plan": "plus"}]
    answer = requests.post(f"{address}/invocations", json={"dataframe_records": rows}, timeout=30)
    assert answer.status_code >= 400
    assert "column age is string, double is wanted" in answer.text
