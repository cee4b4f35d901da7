"""What a plan says of the cursor: the interval that is read, and from where on rows are looked at once more."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.sources.jdbc.order import Order, Overlap, is_before, step_back, thinned


@dataclass(frozen=True)
class Span:
    """The interval (after, upto] of a cursor, in texts that keep their zone, and what is read again below it.

    `after` is None in the first batch, which also takes the rows without a place in the order. Rows of [low, after] are
    read again and compared with those of the batches (behind, until]. Rows from `known_from` on have a fingerprint in
    bronze. `marks` are pairs of a batch and the greatest cursor that it or an earlier one can have.
    """

    cursor: str
    upto: str
    known_from: str
    after: str | None = None
    low: str | None = None
    behind: int = -1
    until: int = -1
    marks: tuple[tuple[int, str], ...] = ()

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "Span":
        """What `as_json` gave, after a journey through JSON."""
        return cls(**{**values, "marks": tuple((batch, upto) for batch, upto in values["marks"])})

    @property
    def as_json(self) -> dict[str, Any]:
        """The interval in JSON values."""
        return asdict(self)


def first(cursor: str, upto: str, order: Order, overlap: Overlap, last_batch: int = -1) -> Span:
    """The interval of the first batch, or of the first one after a reset or a whole reading.

    What batches up to `last_batch` have taken is read once more by it, so only those behind count from now on.
    """
    return Span(cursor, upto, step_back(upto, order, overlap), behind=last_batch)


def following(last: Span, upto: str | None, order: Order, overlap: Overlap, last_batch: int) -> Span:
    """The interval behind the last one; `upto` is None where nothing lies there, `last_batch` the latest planned one.

    Reading again begins where the overlap says, but never below the rows whose fingerprints are known, so that a
    greater overlap holds from the next rows on.
    """
    after = last.upto
    low = _later(step_back(after, order, overlap), last.known_from, order)
    marks = thinned([*last.marks, (last_batch, after)])
    behind = max((batch for batch, greatest in marks if is_before(greatest, low, order)), default=last.behind)
    reached = after if upto is None else upto
    known_from = _later(step_back(reached, order, overlap), low, order)
    kept = tuple(mark for mark in marks if mark[0] >= behind)
    return Span(last.cursor, reached, known_from, after, low, behind, last_batch, kept)


def require_same_cursor(last: Span, cursor: str, origin: str) -> None:
    """Raise SourceError where the plan before went by another cursor, whose values say nothing of this one's."""
    if last.cursor != cursor:
        raise SourceError(
            f"{origin}: the batches so far went by the cursor {last.cursor}, and where they ended says nothing of "
            f"{cursor}; declare {last.cursor} again, or give the pipeline another name and read all rows once more"
        )


def _later(text: str, other: str, order: Order) -> str:
    return other if order != "text" and is_before(text, other, order) else text
