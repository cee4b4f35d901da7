"""The verb that becomes the process which serves models."""

import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lakeloop.cli import app
from lakeloop.serving import model_process
from lakeloop.verbs import serving_models
from tests.model_lake import write_conf


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the process would have become."""
    found: list[Any] = []
    monkeypatch.setattr(serving_models.os, "execve", lambda *given: found.extend(given))
    return found


def test_the_command_becomes_a_process_with_the_same_options(tmp_path: Path, became: list[Any]) -> None:
    write_conf(tmp_path)
    given = ["--port", "0", "--workers", "2", "--drain-seconds", "3", "--conf-dir", f"{tmp_path}/conf"]
    result = CliRunner().invoke(app, ["serve", "models", "churn", *given])
    assert result.exit_code == 0, result.output
    executable, command, environment = became
    assert (executable, command[1:3]) == (sys.executable, ["-m", "lakeloop.serving.model_process"])
    arguments = model_process._arguments(command[3:])
    assert (arguments.names, arguments.port, arguments.workers, arguments.drain_seconds) == (["churn"], 0, 2, 3.0)
    assert (arguments.host, arguments.conf_dir, arguments.env) == ("127.0.0.1", tmp_path / "conf", "local")
    assert "" not in environment["PYTHONPATH"].split(":")


def test_what_would_be_open_to_others_is_refused_before(tmp_path: Path, became: list[Any]) -> None:
    write_conf(tmp_path)
    result = CliRunner().invoke(app, ["serve", "models", "--host", "0.0.0.0", "--conf-dir", f"{tmp_path}/conf"])
    assert result.exit_code == 1
    assert "no key in access.yml has models" in result.output.replace("\n", " ")
    assert became == []


def test_pandas_stays_out_of_the_process() -> None:
    finder = model_process.WithoutPandas()
    assert finder.find_spec("numpy", None) is None
    with pytest.raises(ModuleNotFoundError):
        finder.find_spec("pandas", None)
