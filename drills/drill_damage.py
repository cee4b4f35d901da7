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

from drills.drill_files import FilesDrill, expected
from drills.runs import ROOT, Account, console
from lakeloop.lake.ops_tables import read_rows

BRONZE = "bronze/orders"


@dataclass(frozen=True)
class Damage:
    """What is done to a lake, and whether the next run heals it by itself."""

    words: str
    do: Callable[[Path], object]
    heals: bool = False


def main() -> None:
    """Damage, run, repair, run, and after each damage count every row; raise unless each is there exactly once."""
    with tempfile.TemporaryDirectory(prefix="lakeloop-drill-") as folder, DamageDrill(Path(folder), seed=7) as drill:
        drill.begin(files=33)
        for damage in DAMAGES:
            drill.survive(damage)


class DamageDrill(FilesDrill):
    """A lake that is damaged between runs."""

    def begin(self, files: int) -> None:
        """The first run, three files a batch: ten batches make a checkpoint."""
        self.drop(files)
        self._run()
        self.require("before any damage")

    def survive(self, damage: Damage) -> None:
        """Damage, two new files, a run that names it, a repair, a run, and the account."""
        damage.do(self.folder / "lake")
        self.drop(2)
        if damage.heals:
            self._run()
            self.require(f"{damage.words}: healed by the run")
            return
        if self.start().wait(timeout=300) == 0 or "DamageError" not in self.log[-2000:]:
            raise SystemExit(f"{damage.words}: the run did not name it\n{self.log[-2000:]}")
        command = [sys.executable, "-m", "lakeloop.cli", "repair", "--conf-dir", str(self.folder / "conf")]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode:
            raise SystemExit(f"{damage.words}: the repair ended with {done.returncode}\n{done.stdout}{done.stderr}")
        self._run()
        self.require(f"{damage.words}: named, repaired")

    def account(self) -> Account:
        """Each row in bronze once with its verdict, each good one in silver, each file on record as read."""
        table = self.rows("bronze/orders", ["id", "amount", "_verdict", "_batch_id"])
        found = Counter(row[:3] for row in table)
        wanted = Counter(row for number in range(self.files) for row in expected(number))
        shown = json.loads((self.folder / "lake/silver/orders/_view.json").read_text())["accepted"]
        hidden = sum(batch_id > shown for *_, batch_id in table)
        entries = sorted(read_rows(self.lake, "ops.files"), key=lambda row: row["taken_at"])
        files = Counter({row["path"]: row["outcome"] for row in entries}.values())
        is_whole = not hidden and files == {"read": self.files}
        lost, twice = (wanted - found).total(), (found - wanted).total()
        return Account(found.total(), lost, twice, is_whole, f", {hidden} not shown, files {dict(files)}")

    def require(self, words: str) -> None:
        """Raise unless the account is sound."""
        account = self.account()
        if not account.is_sound:
            raise SystemExit(f"{words}: {account}")
        console.print(f"{words}: {account}", soft_wrap=True)

    def _run(self) -> None:
        if code := self.start().wait(timeout=600):
            raise SystemExit(f"the run ended with {code}\n{self.log[-2000:]}")


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
