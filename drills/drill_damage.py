"""`make drill-files`, second part: ledger and record damaged in ten ways between real runs, and repaired."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import deltalake
from rich.console import Console

from drills.drill_files import ROOT, Drill, expected
from lakeloop.lake.ops_tables import read_rows

BRONZE = "bronze/orders"
console = Console()


@dataclass(frozen=True)
class Damage:
    """What is done to a lake, and whether the next run heals it by itself."""

    words: str
    do: Callable[[Path], object]
    heals: bool = False


def main() -> None:
    """Damage, run, repair, run, and after each damage count every row; raise unless each is there exactly once."""
    with tempfile.TemporaryDirectory(prefix="lakeloop-drill-") as folder:
        drill = DamageDrill(Path(folder), seed=7)
        drill.begin(files=33)
        for damage in DAMAGES:
            drill.survive(damage)


class DamageDrill(Drill):
    """A lake that is damaged between runs."""

    def begin(self, files: int) -> None:
        """The first run, three files a batch: ten batches make a checkpoint."""
        self._drop(files)
        self._run()
        self.account("before any damage")

    def survive(self, damage: Damage) -> None:
        """Damage, two new files, a run that names it, a repair, a run, and the account."""
        damage.do(self.folder / "lake")
        self._drop(2)
        if damage.heals:
            self._run()
            self.account(f"{damage.words}: healed by the run")
            return
        if self._start("").wait(timeout=300) == 0 or "DamageError" not in self._log()[-2000:]:
            raise SystemExit(f"{damage.words}: the run did not name it\n{self._log()[-2000:]}")
        command = [sys.executable, "-m", "lakeloop.cli", "repair", "--conf-dir", str(self.folder / "conf")]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            raise SystemExit(f"{damage.words}: the repair ended with {done.returncode}\n{done.stdout}{done.stderr}")
        self._run()
        self.account(f"{damage.words}: named, repaired")

    def account(self, words: str) -> None:
        """Each row in bronze once with its verdict, each good one in silver, each file on record as read."""
        lake = self.folder / "lake"
        table = deltalake.DeltaTable(str(lake / BRONZE)).to_pyarrow_table(
            columns=["id", "amount", "_verdict", "_batch_id"]
        )
        found = Counter((row["id"], row["amount"], row["_verdict"]) for row in table.to_pylist())
        wanted = Counter(row for number in range(self.files) for row in expected(number))
        shown = json.loads((lake / "silver/orders/_view.json").read_text())["accepted"]
        hidden = sum(row["_batch_id"] > shown for row in table.select(["_batch_id"]).to_pylist())
        entries = sorted(read_rows(str(lake), "ops.files"), key=lambda row: row["taken_at"])
        files = Counter({row["path"]: row["outcome"] for row in entries}.values())
        lost, twice = wanted - found, found - wanted
        if lost or twice or hidden or files != {"read": self.files}:
            raise SystemExit(
                f"{words}: lost {lost.total()}, too many {twice.total()}, not shown {hidden}, files {dict(files)}"
            )
        console.print(f"{words}: {found.total():,} rows of {self.files} files, 0 lost, 0 twice", soft_wrap=True)

    def _run(self) -> None:
        if code := self._start("").wait(timeout=600):
            raise SystemExit(f"the run ended with {code}\n{self._log()[-2000:]}")

    def _log(self) -> str:
        return (self.folder / "runs.log").read_text(errors="replace")


def commit(lake: Path, table: str, back: int = 0) -> Path:
    """The newest commit of a table, or one before it."""
    return sorted((lake / table / "_delta_log").glob("*.json"))[-1 - back]


def lose(path: Path) -> None:
    """Delete a file, and of a commit what an engine keeps beside it."""
    log, number = path.parent, path.name.split(".")[0]
    beside = [log / f"{number}.crc", log / f".{number}.crc.crc"] if path.suffix == ".json" else []
    for each in (path, log / f".{path.name}.crc", *beside):
        each.unlink(missing_ok=True)


def tear(path: Path) -> None:
    """Cut a file in half, as a full disk or a lost page would."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def data(lake: Path, table: str, back: int = 0) -> Path:
    """A data file that a commit brought."""
    actions = map(json.loads, commit(lake, table, back).read_text().splitlines())
    return lake / table / next(action["add"]["path"] for action in actions if "add" in action)


def checkpoint(lake: Path, table: str) -> Path:
    """The newest checkpoint of a table."""
    return max((lake / table / "_delta_log").glob("*.checkpoint.parquet"))


DAMAGES = (
    Damage("newest commit of the ends lost", lambda lake: lose(commit(lake, "ops/runs")), heals=True),
    Damage("newest commit of the plans lost", lambda lake: lose(commit(lake, "ops/batches"))),
    Damage("commit of the plans torn", lambda lake: tear(commit(lake, "ops/batches", 2))),
    Damage("data file of the plans lost", lambda lake: lose(data(lake, "ops/batches"))),
    Damage("catalog of files gone", lambda lake: shutil.rmtree(lake / "ops/files")),
    Damage("view torn", lambda lake: tear(lake / "silver/orders/_view.json")),
    Damage("newest commit of bronze lost", lambda lake: lose(commit(lake, BRONZE))),
    Damage("newest commit of bronze torn", lambda lake: tear(commit(lake, BRONZE))),
    Damage("commit of bronze lost in the middle", lambda lake: lose(commit(lake, BRONZE, 1))),
    Damage("checkpoint of bronze torn", lambda lake: tear(checkpoint(lake, BRONZE))),
    Damage("data file of bronze lost", lambda lake: lose(data(lake, BRONZE))),
)


if __name__ == "__main__":
    main()
