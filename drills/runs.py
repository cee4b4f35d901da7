"""A project in a folder of its own, whose runs are processes that are killed; and how a drill says what came of it."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import deltalake
from rich.console import Console

ROOT = Path(__file__).parents[1]
RUN_SECONDS = 900  # one that takes longer hangs
console = Console()
if not console.is_terminal:
    console.width = 120
Tell = Callable[[str], object]
Death = tuple[str, str]  # a step, and the pipeline that dies there; empty: all that there are


@dataclass(frozen=True)
class Account:
    """Rows found, rows that are not there, rows too many, and whether the values have the checksum of the source."""

    rows: int
    lost: int = 0
    twice: int = 0
    equal: bool = True
    words: str = ""

    @property
    def is_sound(self) -> bool:
        return not self.lost and not self.twice and self.equal

    def __str__(self) -> str:
        checksum = "equal" if self.equal else "DIFFERENT"
        return f"{self.rows:,} rows, {self.lost} lost, {self.twice} twice, checksum {checksum}{self.words}"

    def __add__(self, other: "Account") -> "Account":
        sums = (self.rows + other.rows, self.lost + other.lost, self.twice + other.twice)
        return Account(*sums, self.equal and other.equal, self.words + other.words)


class Drill:
    """One project and its runs. Used as a context, it ends every run that is still there."""

    deaths: Sequence[Death] = ()
    random_seconds = (2.0, 25.0)  # when a run is killed at random: between its start and its likely end

    def __init__(
        self,
        folder: Path,
        seed: int,
        connections: str,
        pipelines: Mapping[str, str],
        secrets: Mapping[str, str] | None = None,
        tell: Tell | None = None,
    ) -> None:
        self.folder, self.draw, self.kills = folder, random.Random(seed), 0
        self.tell = tell or console.print
        self._running: list[subprocess.Popen[bytes]] = []
        base = folder / "conf/base"
        (base / "pipelines").mkdir(parents=True)
        for name in ("conf/local", "secrets"):
            (folder / name).mkdir()
        for name, value in (secrets or {}).items():
            (folder / "secrets" / name).write_text(value)
        (base / "platform.yml").write_text(f"lake: {folder}/lake\nsecrets_folder: {folder}/secrets\n")
        (base / "connections.yml").write_text(connections)
        for name, text in pipelines.items():
            (base / f"pipelines/{name}.yml").write_text(text)
        properties = "".join((ROOT / part / "spark.properties").read_text() for part in ("conf/base", "conf/local"))
        (base / "spark.properties").write_text(properties)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for running in self._running:
            stop_run(running)

    @property
    def lake(self) -> str:
        return f"{self.folder}/lake"

    @property
    def log(self) -> str:
        """What all runs have printed."""
        file = self.folder / "runs.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def start(self, step: str = "", *names: str) -> "subprocess.Popen[bytes]":
        """Begin a run of pipelines (none named: all), which dies at the step if there is one."""
        return self.launch("-m", "drills.killed_run", str(self.folder / "conf"), step, *names)

    def launch(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Begin a Python process in a group of its own."""
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}"}
        with (self.folder / "runs.log").open("ab") as log:
            running = subprocess.Popen(
                [sys.executable, *arguments], cwd=self.folder, env=environment, stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        self.watch(running)
        return running

    def watch(self, running: "subprocess.Popen[bytes]") -> None:
        """End this process, too, when the drill ends."""
        self._running.append(running)

    def arrive(self) -> None:
        """Called before each run that is killed: lets something new be there, where nobody sends it all the time."""

    def kill(self, kills: int) -> None:
        """Kill so many runs: at each step in turn, or at some of them if there are more steps, then at random."""
        chosen = list(self.deaths)
        if kills < len(chosen):
            chosen = self.draw.sample(chosen, max(kills - 1, 1))
        for step, pipeline in chosen:
            self.kill_at(step, *([pipeline] if pipeline else []))
        for _ in range(kills - len(chosen)):
            self.kill_at_random()

    def kill_at(self, step: str, *names: str) -> None:
        """A run that dies at the step."""
        self.arrive()
        code = self.start(step, *names).wait(timeout=RUN_SECONDS)
        if code != -signal.SIGKILL:
            raise SystemExit(f"the run that was to die {step} ended with {code}\n{self.log[-2000:]}")
        self.count(f"killed {step}{' of ' if names else ''}{', '.join(names)}")

    def kill_at_random(self) -> None:
        """A run that is killed somewhere between its start and its likely end."""
        self.arrive()
        running = self.start()
        with suppress(subprocess.TimeoutExpired):
            running.wait(self.draw.uniform(*self.random_seconds))
        stop_run(running)
        self.count("killed at random")

    def count(self, how: str) -> None:
        self.kills += 1
        self.tell(f"{self.kills} {how}")

    def finish(self) -> Account:
        """A run to the end, then the account. Raises SystemExit where the run fails or the account is not sound."""
        if code := self.start().wait(timeout=RUN_SECONDS):
            raise SystemExit(f"the last run ended with {code}\n{self.log[-4000:]}")
        account = self.account()
        self.tell(f"{self.kills} kills: {account}")
        if not account.is_sound:
            raise SystemExit(f"{self.kills} kills: {account}")
        return account

    def account(self) -> Account:
        """What stands in the tables beside what should."""
        raise NotImplementedError

    def rows(self, table: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
        """The rows of a table of the lake."""
        return rows_in(f"{self.lake}/{table}", columns)


def rows_in(path: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """The rows of a table, read without Spark."""
    found = deltalake.DeltaTable(path).to_pyarrow_table(columns=list(columns)).to_pylist()
    return [tuple(row[column] for column in columns) for row in found]


def beside(source: set[tuple[Any, ...]], found: list[tuple[Any, ...]]) -> Account:
    """Rows of a table, whose first column is their id, beside those of its source."""
    ids, wanted = [row[0] for row in found], {row[0] for row in source}
    lost, twice = len(wanted - set(ids)), len(ids) - len(set(ids) & wanted)
    return Account(len(found), lost, twice, checksum(found) == checksum(source))


def checksum(rows: Iterable[tuple[Any, ...]]) -> str:
    """Of the values of all rows, in whatever order they come."""
    return hashlib.sha256(repr(sorted(rows, key=repr)).encode()).hexdigest()


def stop_run(running: "subprocess.Popen[bytes]") -> None:
    """Kill a process and whatever it has started, unless it has ended."""
    if running.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def wait_until(condition: Callable[[], bool], seconds: float, otherwise: str) -> float:
    """Wait for something, and give how long it took; raises SystemExit where it does not come."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise SystemExit(f"{otherwise} within {seconds:g} s")
        time.sleep(0.2)
    return time.monotonic() - began
