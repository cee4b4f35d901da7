"""What a case of the corpus is: a file, and what must become of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

Values = tuple[str | None, str | None]
CANARY = "canary-4f1d"  # stands in a file beside the drop folder, and never in the lake


@dataclass(frozen=True)
class Surroundings:
    """What a hostile file may try to reach: a file with the canary, and a server that must get no connection."""

    canary: Path
    address: str


Content = bytes | str | Callable[[Path], object] | Callable[[Path, Surroundings], object]


@dataclass(frozen=True)
class Case:
    """One file with the fields `a` and `b`, and its outcome.

    `good` has the values of each good row by its line (or place), or only their number; `bad` the line of each
    quarantined row with words of its reason. `refused` has words of the reason for which nothing of the file is read;
    a file that is `left_alone` is no file to the listing.
    """

    file: str | bytes
    what: str
    content: Content
    good: Mapping[int, Values] | int = 0
    bad: tuple[tuple[int, str], ...] = ()
    refused: str = ""
    left_alone: bool = False
    lot: str = "plain"

    @property
    def good_rows(self) -> int:
        """How many rows land."""
        return self.good if isinstance(self.good, int) else len(self.good)

    @property
    def outcome(self) -> str:
        """The outcome in words."""
        if self.left_alone:
            return "left alone: not a file that can be read to an end"
        if self.refused:
            return f"refused: {self.refused}"
        parts = [f"{self.good_rows:,} good"] if self.good_rows or not self.bad else []
        said: dict[str, list[int]] = {}
        for line, words in self.bad:
            said.setdefault(words, []).append(line)
        parts += [f"{', '.join(f'{line:,}' for line in lines)} quarantined: {words}" for words, lines in said.items()]
        return "; ".join(parts)


@dataclass(frozen=True)
class Lot:
    """Cases that one pipeline reads in one batch."""

    name: str
    source: Mapping[str, object] = field(default_factory=dict)
