"""A proposed rule: what it says, how sure it is and why, and whether the rows that were profiled hold it."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from lakeloop.quality import Rule


@dataclass(frozen=True)
class Proposal:
    """One rule as a declaration has it, for somebody to review.

    `confidence` is a lower bound at 95% of the share of later rows that hold it; `evidence` says what it comes from.
    `violations` is None until the rule has judged the rows. `only_if_judged`: the evidence is a sample or an estimate,
    so the rule is no more than a candidate until then. `is_counted`: it is about no single row, and the pass itself has
    counted what it is about.
    """

    kind: str
    parameters: Mapping[str, Any]
    confidence: float
    evidence: str
    only_if_judged: bool = False
    is_counted: bool = False
    violations: int | None = field(default=None)

    @property
    def declaration(self) -> dict[str, Any]:
        """What stands in a list of rules: the short form where a column is all there is to say."""
        if list(self.parameters) == ["column"]:
            return {self.kind: self.parameters["column"]}
        return {self.kind: dict(self.parameters)}

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it looks at first."""
        found = self.parameters.get("columns") or [self.parameters["column"]]
        return tuple(found)

    @property
    def holds(self) -> bool:
        """Whether it may be taken as it stands."""
        return not self.violations if self.violations is not None else not self.only_if_judged

    @property
    def rule(self) -> Rule:
        """The declared rule. Raises ValidationError where this version has no such rule."""
        return Rule.model_validate(self.declaration)


def known(proposals: Iterable[Proposal]) -> list[Proposal]:
    """Those that this version can judge; each rule once."""
    found: dict[str, Proposal] = {}
    for proposal in proposals:
        with suppress(ValidationError):
            found.setdefault(proposal.rule.name, proposal)
    return list(found.values())
