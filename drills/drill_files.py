"""`make drill-files`: files into a table while the driver's process group is killed at every step and at random."""

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from drills.killed_run import APPEND_STEPS
from drills.runs import Account, Drill, Tell
from lakeloop.lake.ops_tables import read_rows

ROWS_PER_FILE = 200
PIPELINE = """
pipeline: orders
description: Orders, one row per order
trigger: available_now
source: {files: drop, formats: {csv: {}}, fields: [id, amount], files_per_batch: 3, settle: 0s}
transforms: [{cast: {amount: int}}]
rules: [{is_not_null: id}]
sink: {table: silver.orders}
"""


def main() -> None:
    """Kill at every step, then `--kills` times at random; raise unless every row is there exactly once."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="lakeloop-drill-") as folder,
        FilesDrill(Path(folder), arguments.seed) as drill,
    ):
        drill.kill(len(drill.deaths) + arguments.kills)
        drill.finish()


class FilesDrill(Drill):
    """A drop folder that grows, and a lake."""

    deaths = tuple((step, "") for step in APPEND_STEPS)

    def __init__(self, folder: Path, seed: int, tell: Tell | None = None) -> None:
        super().__init__(folder, seed, f"drop: {{files: {{path: {folder}/drop}}}}\n", {"orders": PIPELINE}, tell=tell)
        self.files = 0
        (folder / "drop").mkdir()

    def arrive(self) -> None:
        """Two new files."""
        self.drop(2)

    def drop(self, files: int) -> None:
        for number in range(self.files, self.files + files):
            cells = ((id_ or "", "many" if amount is None else amount) for id_, amount, _ in expected(number))
            lines = ["id,amount", *(f"{id_},{amount}" for id_, amount in cells)]
            (self.folder / "drop" / f"{number:05d}.csv").write_text("\n".join([*lines, ""]))
        self.files += files

    def account(self) -> Account:
        """Each row in bronze once with its verdict, each file in the catalog once."""
        found = Counter(self.rows("bronze/orders", ["id", "amount", "_verdict"]))
        wanted = Counter(row for number in range(self.files) for row in expected(number))
        files = Counter(row["path"] for row in read_rows(self.lake, "ops.files"))
        bad = sum(count for (_, _, verdict), count in found.items() if verdict == "quarantined")
        words = f", {len(files)} of {self.files} files, {bad:,} in quarantine"
        twice = (found - wanted).total() + files.total() - len(files)
        return Account(found.total(), (wanted - found).total(), twice, len(files) == self.files, words)


def expected(number: int) -> list[tuple[str | None, int | None, str]]:
    """The rows of a file with their verdicts: one without an id, one whose amount is no number, the rest good."""
    first = number * ROWS_PER_FILE
    good = [(f"o{place}", place, "good") for place in range(first, first + ROWS_PER_FILE - 2)]
    return [*good, (None, first, "quarantined"), (f"o{first + ROWS_PER_FILE}", None, "quarantined")]


if __name__ == "__main__":
    main()
