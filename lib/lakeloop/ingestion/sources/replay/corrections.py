"""One quarantined row and what somebody wants changed of it: which cells, from what to what, or why it stays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lakeloop.core.documents import propose
from lakeloop.ingestion.sources.protocol import ORIGINAL
from lakeloop.ingestion.sources.replay.sheet_cells import masked, told
from lakeloop.ingestion.sources.replay.values import NO_FORM, Values
from lakeloop.lake.masks import REDACTED

Cell = Mapping[str, str | None]  # `column`, `before`, `after`, as in `ops.quarantine`
BROKEN = "it could not be parsed ({error}), so it has no cells; give its whole text as " + ORIGINAL


@dataclass(frozen=True)
class State:
    """A row as it is now: its text, its cells by the columns of its source, and why it cannot be parsed, if so."""

    text: str | None
    values: Values

    @property
    def error(self) -> str | None:
        """Why there are no cells."""
        return self.values.error

    def told(self, *, is_masked: bool) -> str:
        """What tells this state from another one, as it is shown with masks or without."""
        if not is_masked:
            return told(self.text, self.values.cells)
        return told(masked(self.text), {name: masked(value) for name, value in self.values.cells.items()})


@dataclass(frozen=True)
class Corrected:
    """What becomes of a row: the changed cells and all that differ from the original then; or why it is left as it is.

    `refused` is a mistake in what was asked, for which nothing at all is fixed.
    """

    changes: tuple[Cell, ...] = ()
    corrections: tuple[Cell, ...] = ()
    left: str | None = None
    refused: str | None = None


def text_of(original: str | None, corrections: Sequence[Cell]) -> str | None:
    """The text that a row is parsed from: its original, unless somebody has replaced it."""
    return next((cell["after"] for cell in corrections if cell["column"] == ORIGINAL), original)


def state_of(text: str | None, parsed: Values, corrections: Sequence[Cell], *, is_damaged: bool) -> State:
    """A row whose `text` was `parsed`, with the cells that were corrected before."""
    error = parsed.error
    if is_damaged and error is None and not any(cell["column"] == ORIGINAL for cell in corrections):
        error = "its text is not whole"
    if error is not None:
        return State(text, Values({}, error))
    cells = dict(parsed.cells)
    cells |= {str(cell["column"]): cell["after"] for cell in corrections if cell["column"] != ORIGINAL}
    return State(text, Values(cells))


def correct(
    state: State,
    original: str | None,
    corrections: Sequence[Cell],
    asked: Mapping[str, str | None],
    *,
    shown: str | None,
    has_masks: bool,
) -> Corrected:
    """Change what differs from the row as it is now; `asked` has texts by column, and `_original` for the whole text.

    `shown` is what told the state that somebody saw; a row that is in another one is left. Where masks were shown, a
    cell that still reads as its mask is as it was, and no other cell takes the text of a mask.
    """
    with_masks = has_masks and shown == state.told(is_masked=True)
    if shown is not None and not with_masks and shown != state.told(is_masked=False):
        return Corrected(left="it is read otherwise than when it was shown; show it again")
    changes: list[Cell] = []
    for column, after in asked.items():
        before = state.text if column == ORIGINAL else state.values.cells.get(column)
        is_mask = has_masks and after == REDACTED
        if (after or "") == (before or "") or (with_masks and is_mask and before):
            continue
        if is_mask:
            return Corrected(refused=f"{column}: {REDACTED} is what is shown in place of personal data, and no value")
        if (obstacle := _obstacle(state, column, after)) is not None:
            return obstacle
        changes.append({"column": column, "before": before, "after": after or None})
    if not changes:
        return Corrected()
    if changes[0]["column"] == ORIGINAL:  # alone, since a row that cannot be parsed has no cells
        return Corrected(tuple(changes), ({**changes[0], "before": original},))
    first = {cell["column"]: cell["before"] for cell in corrections}
    now = {cell["column"]: cell["after"] for cell in corrections}
    first |= {change["column"]: change["before"] for change in changes if change["column"] not in first}
    now |= {change["column"]: change["after"] for change in changes}
    kept = ({"column": name, "before": first[name], "after": now[name]} for name in first)
    return Corrected(tuple(changes), tuple(cell for cell in kept if cell["before"] != cell["after"]))


def _obstacle(state: State, column: str, after: str | None) -> Corrected | None:
    """Why a row does not take another text in a cell, or another whole text."""
    if column != ORIGINAL:
        if state.error is not None:
            return Corrected(left=BROKEN.format(error=state.error))
        if column not in state.values.cells:
            return Corrected(refused=f"it has no column '{column}'; {propose(column, list(state.values.cells))}")
        return None
    if state.error is None:
        return Corrected(refused=f"it can be parsed, so its text stays; change its cells in place of {ORIGINAL}")
    if state.error == NO_FORM:
        return Corrected(left=f"{NO_FORM}, so no text of it can be parsed")
    if not after:
        return Corrected(refused=f"{ORIGINAL} is empty, and a row without a text is none; discard it instead")
    return None
