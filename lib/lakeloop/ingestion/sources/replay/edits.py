"""What somebody wants changed: cells for all rows that are chosen, or a CSV file with a row for each."""

import csv
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lakeloop.core.documents import propose
from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.sources.protocol import ORIGINAL
from lakeloop.ingestion.sources.replay.sheet_cells import of_cell, told

ROW, TOLD = "_row", "_shown"
# The columns that `quarantine show --format csv` gives beside those of the rows.
ABOUT = (ROW, TOLD, "_batch_id", "_origin", "_record", "_came_in", "_rules_version", "_reasons")
ROW_ID = re.compile("[0-9a-f]{12,64}")
LONGEST_CELL = 64 << 20


@dataclass(frozen=True)
class Edits:
    """Cells by column for every chosen row, or a file; NULL empties a cell."""

    cells: Mapping[str, str | None] = field(default_factory=dict)
    file: Path | None = None


@dataclass(frozen=True)
class Edit:
    """One row of a file: its line, the id of the row or its beginning, what told the state shown, and the cells."""

    line: int
    row: str
    shown: str | None
    cells: Mapping[str, str | None]

    @property
    def is_changed(self) -> bool:
        """Whether the line says something else than what was shown; of a line that says no state, nobody can tell."""
        cells = {name: text for name, text in self.cells.items() if name != ORIGINAL}
        return self.shown is None or self.shown != told(self.cells.get(ORIGINAL), cells)


def read_edits(file: Path, pipeline: str, columns: Collection[str] | None) -> Iterator[Edit]:
    """The changed rows of a file as spreadsheets save it: commas, semicolons or tabs, a byte order mark or none.

    `columns` are those that the pipeline's rows may have, None where each row says its own. Raises ConfigError, with
    file and line, for a file that is no such CSV, a column that nobody knows, and a row that is none.
    """
    begin = f"begin with `lakeloop quarantine show {pipeline} --format csv > {file.name}`"
    limit = csv.field_size_limit(LONGEST_CELL)
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            delimiter = max(",;\t", key=first.count)
            stream.seek(0)
            rows = csv.reader(stream, delimiter=delimiter, strict=True)
            header = next(rows, [])
            _require_header(file, header, columns, begin)
            for cells in rows:
                if not any(cells):
                    continue
                if (edit := _edit(file, rows.line_num, header, cells)).is_changed:
                    yield edit
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        said = error.strerror if isinstance(error, OSError) else f"it is no CSV in UTF-8: {error}"
        raise ConfigError(f"{file}: cannot be read: {said}; {begin}, and save it as CSV in UTF-8") from error
    finally:
        csv.field_size_limit(limit)


def require_readable(file: Path, pipeline: str, columns: Collection[str] | None) -> None:
    """Raise what `read_edits` raises, before anything else is begun."""
    for _ in read_edits(file, pipeline, columns):
        pass


def _require_header(file: Path, header: list[str], columns: Collection[str] | None, begin: str) -> None:
    if ROW not in header:
        found = f"found {', '.join(header)[:200]}" if header else "found nothing"
        raise ConfigError(f"{file}:1: no column {ROW}, which says the row that a line is about; {found}; {begin}")
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise ConfigError(f"{file}:1: {', '.join(map(repr, repeated))} stands twice in the header; leave one of them")
    for name in header:
        if name in ABOUT or name == ORIGINAL:
            continue
        if name.startswith("_") or not name or (columns is not None and name not in columns):
            known = [*(columns or ()), ORIGINAL, *ABOUT]
            raise ConfigError(f"{file}:1: the rows have no column '{name}'; {propose(name, known)}")


def _edit(file: Path, line: int, header: list[str], cells: list[str]) -> Edit:
    where = f"{file}:{line}"
    if len(cells) != len(header):
        raise ConfigError(f"{where}: {len(cells)} cells, and the header has {len(header)}; save the file as CSV again")
    named = dict(zip(header, cells, strict=True))
    if not ROW_ID.fullmatch(named[ROW]):
        raise ConfigError(
            f"{where}: '{named[ROW]}' is no row: {ROW} is 12 to 64 of the digits 0-9 and a-f, as `lakeloop quarantine "
            "show` has them; leave that column as it is"
        )
    shown = named.get(TOLD) or None
    return Edit(line, named[ROW], shown, {name: of_cell(text) for name, text in named.items() if name not in ABOUT})
