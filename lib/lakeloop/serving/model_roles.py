"""Who answers: the versions of a model by role, from when on, and which of them a key is given to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Any

from pydantic_core import to_json

from lakeloop.lake.champions import Role, Switch
from lakeloop.scoring.release import Card
from lakeloop.scoring.scorer import Scorer
from lakeloop.serving.model_measures import Counts
from lakeloop.serving.model_rows import Fields


@dataclass(frozen=True, eq=False)
class Version:
    """A version of a model that can answer, and the switch that put it in its role."""

    switch: Switch
    number: int
    scorer: Scorer
    card: Card
    background: Any  # an Arrow table of rows that explanations start from, None where there are none
    counts: Counts

    @property
    def role(self) -> Role:
        """The role that it holds."""
        return self.switch.role


@dataclass(frozen=True)
class Roles:
    """Who holds the roles of a model from `since` on, in seconds since 1970; None: nobody."""

    since: float
    champion: Version | None = None
    canary: Version | None = None
    challenger: Version | None = None

    @cached_property
    def fields(self) -> Fields:
        """What a row may have: the fields of all who may answer, of the kind that the champion takes."""
        assert self.champion is not None
        holders = (self.challenger, self.canary, self.champion)
        columns = {name: kind for held in holders if held for name, kind in held.scorer.columns.items()}
        return Fields(self.champion.switch.model, columns)

    def chosen(self, model: str, key: str) -> Version:
        """Who answers for a key: the canary for its share of the keys, the champion, who must be, for the others."""
        assert self.champion is not None
        if self.canary is not None and bucket(model, key) < (self.canary.switch.percent or 0.0):
            return self.canary
        return self.champion


@dataclass
class Line:
    """A model over time: the roles of now and of the moments that are to come, the newest first.

    The list is replaced as a whole, so that a request sees the one before or the one after. `problems` says, by role,
    why the holder that the ledger names does not answer.
    """

    model: str
    timeline: Sequence[Roles] = ()
    problems: dict[Role, str] = field(default_factory=dict)

    @cached_property
    def quoted(self) -> str:
        """Its name as JSON has it."""
        return to_json(self.model).decode()

    def at(self, moment: float) -> Roles | None:
        """The roles at a moment; None before anybody held one."""
        for roles in self.timeline:
            if moment >= roles.since:
                return roles
        return None


def bucket(model: str, key: str) -> float:
    """Where a key falls between 0 and 100, the same on every machine; who is below 5 is below 10, too."""
    digest = blake2b(f"{model}\0{key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 * 100
