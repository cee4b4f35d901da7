"""`make drill-files`: files into a table on disks that are full; once there is space, every row must be there once.

The disks are real and small: each is a tmpfs, mounted over a folder of the lake for this process and its children only.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Thread

from drills.drill_files import FilesDrill
from drills.runs import ROOT, console

SIZE = "256m"
BLOCK = 4096
# What is left of each disk, in blocks: nothing, and so little that a later step of the run is the one that fails.
CASES: dict[str, tuple[int, ...]] = {
    "lake": (0, 4, 12, 16),
    "lake/bronze": (0, 4),
    "lake/bronze/orders/_delta_log": (0, 1),
    "lake/ops": (0, 3, 6),
    "lake/silver": (0,),
    "spill": (0,),
}
SHUFFLE = "spill, once the batch is planned"
# The second rule takes a pass of its own, which shuffles.
RULES = "rules: [{is_not_null: id}, {is_unique: {columns: [id], horizon: batch, severity: warn}}]"


def main() -> None:
    """Fill each disk in turn; raise unless each failure is told in one sentence and the next run makes up for it."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--folder", type=Path, help="(set by the drill itself, inside its own mounts)")
    parser.add_argument("--cases", nargs="*", default=[*CASES, SHUFFLE], help="Folders to fill; none named: all")
    parser.add_argument("--least", action="store_true", help="Each disk once, without any space")
    arguments = parser.parse_args()
    if arguments.folder is None:
        with tempfile.TemporaryDirectory(prefix="lakeloop-drill-") as folder:
            raise SystemExit(start(Path(folder), arguments.cases, least=arguments.least))
    for case in arguments.cases:
        sizes = CASES.get(case, (0,))
        DiskDrill(arguments.folder / re.sub(r"\W+", "-", case), case).run(sizes[:1] if arguments.least else sizes)


def start(folder: Path, cases: list[str], *, least: bool = False) -> int:
    """The drill in a process whose mounts nobody else sees, and that end with it; gives its exit code."""
    options = ["--folder", str(folder), *(["--least"] if least else []), "--cases", *cases]
    command = [*own_mounts(), sys.executable, "-m", "drills.drill_disk", *options]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}"}
    return subprocess.run(command, env=environment, check=False).returncode


def own_mounts() -> list[str]:
    """The beginning of a command that may mount for itself; needs root, or a kernel that lets users have namespaces."""
    return ["unshare", "--mount", "--propagation", "private", *([] if os.getuid() == 0 else ["--map-root-user"])]


class DiskDrill(FilesDrill):
    """A lake with one small disk, which is filled again and again."""

    def __init__(self, folder: Path, case: str) -> None:
        folder.mkdir()
        super().__init__(folder, seed=7)
        self.case, self.disk, self.failed = case, folder / case.split(",", maxsplit=1)[0], 0
        (folder / "spill").mkdir()
        pipeline = folder / "conf/base/pipelines/orders.yml"
        pipeline.write_text(re.sub(r"rules: .*", RULES, pipeline.read_text()))
        with (folder / "conf/base/spark.properties").open("a") as properties:
            properties.write(f"\nspark.local.dir {folder}/spill\n")

    def run(self, sizes: Sequence[int]) -> None:
        """A run on a large disk, then for each size one on a full disk and one with space, and the account."""
        if self.case.startswith("lake/"):
            self.drop(2)
            self._lakeloop()
        self._mount()
        try:
            if self.case == "lake":
                self.drop(2)
                self._lakeloop()
            for blocks in sizes:
                self.drop(2)
                self._run_on_full_disk(blocks)
                if self._lakeloop()[0]:
                    raise SystemExit(f"{self.case}: the run failed though there was space")
                if not self.account().is_sound:
                    raise SystemExit(f"{self.case}: {self.account()}")
            console.print(f"{self.case}: {self.failed} runs failed on a full disk; then {self.account()}")
        finally:
            subprocess.run(["umount", "--lazy", str(self.disk)], check=True)

    def _run_on_full_disk(self, blocks: int) -> None:
        """One that fails says so in one sentence; one that finds the little that is left enough may end well."""
        if self.case == SHUFFLE:
            planned = len(self._plans())
            filling = Thread(target=self._fill_when, args=(lambda: len(self._plans()) > planned,))
            filling.start()
            code, said = self._lakeloop()
            filling.join()
        else:
            self._fill(blocks)
            code, said = self._lakeloop()
        (self.disk / "filling").unlink()
        self.failed += code
        sentence = re.search(rf".*the disk of {self.disk}\S* is full \([\d,]+ bytes free\).*", said)
        if "Traceback" in said or (sentence is None if code else blocks == 0):
            raise SystemExit(f"{self.case}, {blocks} blocks free: the run ended with {code} and said\n{said}")
        shown = sentence[0].strip() if sentence and code else "no failure"
        console.print(f"  {blocks} blocks free: {shown}", soft_wrap=True, highlight=False)

    def _lakeloop(self) -> tuple[int, str]:
        ended = subprocess.run(
            [sys.executable, "-m", "lakeloop.cli", "run", "--conf-dir", str(self.folder / "conf")],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            env={**os.environ, "COLUMNS": "400"},
        )  # fmt: skip
        return ended.returncode, ended.stdout

    def _plans(self) -> list[Path]:
        return list((self.folder / "lake/ops/batches/_delta_log").glob("*.json"))

    def _mount(self) -> None:
        """A small disk over the folder, with what the folder holds."""
        self.disk.mkdir(parents=True, exist_ok=True)
        small = self.folder / "small"
        small.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(small)], check=True)
        subprocess.run(["cp", "-a", f"{self.disk}/.", str(small)], check=True)
        subprocess.run(["mount", "--move", str(small), str(self.disk)], check=True)

    def _fill_when(self, condition: Callable[[], bool]) -> None:
        while not condition():
            time.sleep(0.01)
        self._fill(0)

    def _fill(self, blocks: int) -> None:
        disk = os.statvfs(self.disk)
        with (self.disk / "filling").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - blocks * BLOCK)


if __name__ == "__main__":
    main()
