import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lakeloop import __version__, verbs
from lakeloop.cli import app, terminal
from lakeloop.cli.command import build
from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import RowCounts, now
from lakeloop.lake.ledger import RunEntry
from lakeloop.repair import Finding
from lakeloop.verbs import lakes


def test_every_verb_is_found_and_none_has_the_name_of_a_module() -> None:
    stub = Path(verbs.__file__).with_suffix(".pyi").read_text()
    told = sorted(line.rsplit(" as ", 1)[1] for line in stub.splitlines() if line.startswith("from "))
    assert told == sorted(verbs.HOMES)
    assert all(callable(getattr(verbs, name)) for name in verbs.HOMES)
    modules = {file.stem for file in Path(verbs.__file__).parent.glob("*.py")}
    assert modules & set(verbs.HOMES) == set()
    with pytest.raises(AttributeError, match=r"lakeloop\.verbs has no nothing"):
        _ = verbs.nothing


def test_one_command_is_the_same_alone_as_among_all() -> None:
    for name in ("train", "serve", "champion"):
        alone = CliRunner().invoke(build(name), [name, "--help"])
        assert (alone.exit_code, alone.output) == (0, CliRunner().invoke(build(), [name, "--help"]).output)
    assert CliRunner().invoke(build("no such"), ["no such"]).exit_code == 2


PIPELINE = """pipeline: {name}
description: one row per line
source: {{files: drop, formats: {{csv: {{}}}}, fields: [id]}}
sink: {{table: silver.{name}}}
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A valid configuration in `conf` whose lake is the folder `lake` beside it and does not exist yet."""
    folder = tmp_path / "conf"
    (folder / "base/pipelines").mkdir(parents=True)
    (folder / "local").mkdir()
    (folder / "base/platform.yml").write_text(f"lake: {tmp_path}/lake\n")
    (folder / "base/connections.yml").write_text(f"drop: {{files: {{path: {tmp_path}/drop}}}}\n")
    for name in ("customers", "usage"):
        (folder / f"base/pipelines/{name}.yml").write_text(PIPELINE.format(name=name))
    return folder


@pytest.fixture(autouse=True)
def no_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("Spark was started")

    monkeypatch.setattr(lakes, "build_session", refuse)


def lakeloop(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def ends_in_one_sentence(result: Result) -> bool:
    """Whether the command failed without a stack trace."""
    return result.exit_code == 1 and isinstance(result.exception, SystemExit) and "Traceback" not in result.output


def test_version_and_help() -> None:
    assert lakeloop("--version").output.strip() == __version__
    shown = lakeloop("--help")
    assert shown.exit_code == 0
    for verb in ("validate", "run", "train", "score", "runs"):
        assert verb in shown.output


def test_a_valid_configuration_is_told_so_with_the_next_command(conf: Path) -> None:
    result = lakeloop("validate", "--conf-dir", conf)
    assert result.exit_code == 0
    assert result.output == "The configuration is valid. Next: lakeloop run\n"


def test_all_problems_are_printed_one_a_line_as_they_are(conf: Path) -> None:
    (conf / "base/pipelines/usage.yml").write_text("pipeline: [usage]\nsnk: {}\n")
    (conf / "base/platform.yml").write_text("lak: x\n")
    result = lakeloop("validate", "--conf-dir", conf)
    assert ends_in_one_sentence(result)
    assert f"{conf}/base/platform.yml:1: unknown key 'lak'; did you mean 'lake'?" in result.output
    assert f"{conf}/base/pipelines/usage.yml:2: unknown key 'snk'; did you mean 'sink'?" in result.output
    assert len(result.output.splitlines()) == 2


@pytest.mark.parametrize("verb", [["validate"], ["run"], ["runs"], ["train", "churn"], ["score", "churn"]])
def test_a_folder_or_environment_that_is_not_there_is_one_sentence(conf: Path, verb: list[str]) -> None:
    nowhere = lakeloop(*verb, "--conf-dir", conf / "nowhere")
    assert ends_in_one_sentence(nowhere)
    assert "name your configuration with --conf-dir" in nowhere.output
    unknown = lakeloop(*verb, "--conf-dir", conf, "--env", "lcal")
    assert ends_in_one_sentence(unknown)
    assert "no environment 'lcal'" in unknown.output
    assert "did you mean 'local'?" in unknown.output


def test_an_unknown_pipeline_proposes_the_nearest_before_spark_starts(conf: Path) -> None:
    result = lakeloop("run", "custmers", "--conf-dir", conf)
    assert ends_in_one_sentence(result)
    assert "no pipeline 'custmers'" in result.output
    assert "did you mean 'customers'? Allowed: customers, usage" in result.output


@pytest.mark.parametrize("verb", ["train", "score"])
def test_an_unknown_model_is_one_sentence(conf: Path, verb: str) -> None:
    result = lakeloop(verb, "churn", "--conf-dir", conf)
    assert ends_in_one_sentence(result)
    assert "no model 'churn'" in result.output


def test_runs_of_an_empty_lake(conf: Path) -> None:
    result = lakeloop("runs", "--conf-dir", conf)
    assert result.exit_code == 0
    assert result.output == f"No run yet in {conf.parent}/lake. Next: lakeloop run\n"


def test_a_run_ends_with_a_table_and_the_failures(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = RunEntry("usage", "silver.usage", "succeeded", now(), "2 [red] files", 0, RowCounts(1234, 1200, 30, 4))
    summary = verbs.RunSummary((entry,), {"customers": SourceError("crm is out of reach [b]")})
    monkeypatch.setattr(verbs, "run", lambda *_: summary)
    monkeypatch.setattr(terminal.console, "width", 200)
    result = lakeloop("run", "--conf-dir", conf)
    assert ends_in_one_sentence(result)
    lines = [line.strip() for line in result.output.splitlines()]
    assert "usage  1,234 read = 1,200 good + 30 quarantined + 4 dropped" in lines
    assert "2 [red] files" in lines
    assert "customers failed: crm is out of reach [b]" in result.output
    assert "next: lakeloop runs" in result.output


def test_a_run_without_failures_succeeds(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbs, "run", lambda *_: verbs.RunSummary(()))
    assert lakeloop("run", "--conf-dir", conf).exit_code == 0


def test_all_is_no_name_and_stands_beside_none(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def run(_: object, names: object, *__: object) -> verbs.RunSummary:
        asked.append(names)
        return verbs.RunSummary(())

    monkeypatch.setattr(verbs, "run", run)
    assert lakeloop("run", "--all", "--conf-dir", conf).exit_code == 0
    assert asked == [[]]
    refused = lakeloop("run", "usage", "--all", "--conf-dir", conf)
    assert refused.exit_code == 2
    assert "all pipelines, or usage; name some or say --all" in refused.output
    assert asked == [[]]


def test_a_backfill_that_would_bring_rows_twice_is_refused_before_spark_starts(conf: Path) -> None:
    result = lakeloop("backfill", "usage", "--from", "a.csv", "--conf-dir", conf)
    assert ends_in_one_sentence(result)
    assert (
        "silver.usage only grows, so every row that usage reads again would come twice; give the sink" in result.output
    )


def test_a_repair_says_table_by_table_what_was_done(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal.console, "width", 200)
    sound = lakeloop("repair", "--conf-dir", conf)
    assert (sound.exit_code, sound.output.splitlines()[-1]) == (0, "All is sound. Next: lakeloop run")
    lost = Finding("bronze.usage", "lost", "3 rows of batch 1 are missing", "Put [a.csv] back")
    mended = Finding("ops.runs", "mended", "commit 3 is torn", "it is set aside")

    def told(*findings: Finding, options: tuple[str, ...] = ()) -> Result:
        repaired = verbs.Repaired(findings, ("ops.batches",), "/lake/_damaged/r1")
        monkeypatch.setattr(verbs, "repair", lambda *_, **__: repaired)
        return lakeloop("repair", *options, "--conf-dir", conf)

    done = told(mended)
    assert done.exit_code == 0
    assert [line.strip() for line in done.output.splitlines() if line.strip()] == [
        "ops.runs     commit 3 is torn", "done: it is set aside", "ops.batches  sound",
        "What was set aside: /lake/_damaged/r1", "All is mended. Next: lakeloop run",
    ]  # fmt: skip
    left = told(mended, lost)
    assert ends_in_one_sentence(left)
    assert "not mended: Put [a.csv] back" in left.output
    assert "Not all could be mended: see above what is left to do." in left.output
    planned = told(Finding("ops.runs", "damaged", "commit 3 is torn", "it is set aside"), options=("--dry-run",))
    assert planned.exit_code == 0
    assert "would be done: it is set aside" in planned.output
    assert "Nothing was changed. Next: lakeloop repair" in planned.output


@pytest.mark.parametrize("module", ["pandas", "sqlglot", "mlflow", "sklearn"])
def test_a_command_does_not_wait_for_modules_that_few_need(module: str) -> None:
    program = f"import sys, lakeloop.cli; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
