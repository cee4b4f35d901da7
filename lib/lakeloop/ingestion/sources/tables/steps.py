"""From where to where a batch reads each table, as it stands in a plan."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lakeloop.lake.increments import Mark, has_moved
from lakeloop.lake.ledger import Plan


@dataclass(frozen=True)
class Step:
    """The rows of a table after `since`, all of them where it is None, up to `until`; `behind` batches come later."""

    since: Mark | None
    until: Mark
    behind: int = 0

    @property
    def has_moved(self) -> bool:
        """Whether anything may lie between the marks."""
        return has_moved(self.since, self.until)

    @property
    def as_json(self) -> dict[str, Any]:
        """The marks in JSON values."""
        return {"since": self.since, "until": self.until}

    def said(self, table: str) -> str:
        """In words: `silver.orders batches 3 to 7, 12 behind`."""
        unit, last = "batch" if self.until["feed"] is None else "version", self.until["at"]
        if self.since is None and unit == "version":
            return f"{table} as of version {last}"
        first = 0 if self.since is None else self.since["at"] + 1
        plural = "batches" if unit == "batch" else "versions"
        words = f"{unit} {last}" if first == last else f"{plural} {first} to {last}"
        return f"{table} {words}" + (f", {self.behind:,} behind" if self.behind else "")


def steps_of(plan: Plan) -> dict[str, Step]:
    """The steps of a plan by table."""
    return {name: Step(marks["since"], marks["until"]) for name, marks in plan.details["tables"].items()}


def marks_after(plan: Plan) -> dict[str, Mark]:
    """How far each table was read once the plan is; with those that an earlier declaration had."""
    left: dict[str, Mark] = plan.details["left"]
    return left | {name: step.until for name, step in steps_of(plan).items()}


def summary_of(steps: Mapping[str, Step]) -> str:
    """All steps with something in them, in words."""
    return "; ".join(step.said(name) for name, step in steps.items() if step.has_moved)
