"""A look at a source that takes nothing of it: is it there, may we read it, what has it, how fresh and how much."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from lakeloop.core.errors import LakeloopError

What = Literal["reachable", "permitted", "schema", "freshness", "volume"]
WHATS: tuple[What, ...] = ("reachable", "permitted", "schema", "freshness", "volume")


@dataclass(frozen=True)
class Check:
    """What a look told of one thing; where it is not `ok` the text ends with the remedy."""

    what: What
    said: str
    ok: bool = True


class Probed(Protocol):
    """A source that can be looked at."""

    def probe(self) -> Iterator[Check]:
        """The checks in the order of `WHATS`, each once; raises LakeloopError, with the remedy, where one fails."""
        ...


def probe(source: Probed) -> list[Check]:
    """All checks of a source up to the first that keeps it from being looked at any further."""
    checks: list[Check] = []
    try:
        checks.extend(source.probe())
    except LakeloopError as error:
        told = {check.what for check in checks}
        checks.append(Check(next(what for what in WHATS if what not in told), str(error), ok=False))
    return checks
