"""An ailment of a table, its cure, and where damaged files go."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from pyarrow import fs

from lakeloop.core.run_record import RunContext
from lakeloop.lake.storage import filesystem

State = Literal["damaged", "mended", "lost", "unknown"]


@dataclass(frozen=True)
class Ailment:
    """What is wrong with a table, and the cure in words and as a function; without one, the words say what is left."""

    table: str
    what: str
    cure: str
    mend: Callable[[], None] | None


@dataclass(frozen=True)
class Finding:
    """An ailment as it was found and left.

    A dry run leaves it `damaged`, or `unknown` where it is hidden by another; `lost` is what nothing here can mend.
    """

    table: str
    state: State
    what: str = ""
    cure: str = ""


@dataclass(frozen=True)
class Bench:
    """Where a repair works: the lake, the run that it is, and the folder for what it sets aside."""

    root: str
    run: RunContext
    dry_run: bool = False
    folder: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", f"{self.root}/_damaged/{self.run.run_id}")

    def set_aside(self, uri: str) -> None:
        """Move a file of the lake, if it is there, under `_damaged`, with the checksum that Hadoop keeps beside it."""
        name = uri.rsplit("/", 1)[-1]
        for each in (uri, f"{uri.removesuffix(name)}.{name}.crc"):
            system, path = filesystem(each)
            if system.get_file_info(path).type is fs.FileType.NotFound:
                continue
            _, target = filesystem(self.folder + each.removeprefix(self.root))
            system.create_dir(target.rsplit("/", 1)[0], recursive=True)
            system.move(path, target)


def batches_in_words(batches: Iterable[int]) -> str:
    """Batch 3, or batches 0 to 12, or batches 1, 4."""
    numbers = sorted(batches)
    if len(numbers) == 1:
        return f"batch {numbers[0]}"
    if numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"batches {numbers[0]} to {numbers[-1]}"
    return f"batches {', '.join(map(str, numbers))}"
