"""How far a partition has been read, and what it gave, in JSON values: for the plan, and for the way from executors."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lakeloop.ingestion.sources.rest.cursors import meaning
from lakeloop.ingestion.sources.rest.paging import At


@dataclass(frozen=True)
class Within:
    """Cursors from `first` on, before `until`, none above `upto`."""

    first: str
    until: str | None
    upto: str

    def has(self, cursor: str | None) -> bool:
        """Whether a cursor is one of them; a record without one was never read by its cursor."""
        if cursor is None or not meaning(self.first) <= meaning(cursor) <= meaning(self.upto):
            return False
        return self.until is None or meaning(cursor) < meaning(self.until)


@dataclass(frozen=True)
class Reach:
    """The greatest cursor read so far, and, of a reading that is not at its end, what it needs to go on.

    `at` is the position where it goes on, None: it begins anew behind `greatest`. `since` is the value that it asks
    with, and `pages` tells the pages that it had, so that none is taken for a new one; `is_landed`: the one at `at` is
    among them, and only the way behind it was not found. `seen` are the identities of records that may come again.
    With `within` a part is read once more, and no other records are new.
    """

    greatest: str | None = None
    at: At | None = None
    since: str | None = None
    pages: tuple[str, ...] = ()
    is_landed: bool = False
    seen: tuple[str, ...] = ()
    within: "Within | None" = None

    @property
    def as_json(self) -> dict[str, Any]:
        """The same in JSON values."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "Reach":
        """What `as_json` gave, after a journey through JSON."""
        within = Within(**values["within"]) if values["within"] else None
        return cls(**{**values, "pages": tuple(values["pages"]), "seen": tuple(values["seen"]), "within": within})


@dataclass(frozen=True)
class Fetched:
    """What one partition gave: landed files with the origins to show for them, and how far it has been read.

    `failure` says why it stopped before its end; `records` are new, `known` were read before, `held` are dated ahead of
    the clock and left to a later reading. `types` and `kinds` are the SQL and JSON types of what was new.
    """

    files: dict[str, str]
    reach: Reach
    records: int = 0
    known: int = 0
    held: int = 0
    failure: str | None = None
    types: dict[str, str | None] = field(default_factory=dict)
    kinds: dict[str, list[str]] = field(default_factory=dict)

    @property
    def as_json(self) -> dict[str, Any]:
        """The same in JSON values."""
        return asdict(self)

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> "Fetched":
        """What `as_json` gave, after a journey through JSON."""
        return cls(**{**values, "reach": Reach.of_json(values["reach"])})
