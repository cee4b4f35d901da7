"""Which rows a stage has learned from, so that none of them meets its own label in its own feature.

A stage that learns from the label treats such a row by what the others say: the rows are parted in five by a hash of
what parts the folds too (key, group or time), and a row takes what the other four parts say of it. Every other row
takes what all rows say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PARTS = 5


@dataclass(frozen=True)
class LearnedRows:
    """The rows that were learned from: by fold column what they held, and the column that parts them."""

    part_col: str
    folds: Mapping[str, Sequence[int]]

    def block(self, columns: Sequence[str]) -> str:
        """0 for a row that was not learned from, else 1 and the part that it is in; as SQL over `columns`."""
        if not self.folds or any(name not in columns for name in self.folds):
            return "0"
        seen = (f"{fold(name)} IN ({', '.join(map(str, folds))})" for name, folds in self.folds.items())
        return f"IF({' AND '.join(seen)}, {part(self.part_col)} + 1, 0)"


def part(column: str) -> str:
    """The part of a row, 0 to 4, as SQL."""
    return f"CAST(pmod(xxhash64('part', CAST(`{column}` AS STRING)), {PARTS}) AS INT)"


def fold(column: str) -> str:
    """The fold of a row as SQL, -1 where it has none: rows without a time."""
    return f"coalesce(`{column}`, -1)"
