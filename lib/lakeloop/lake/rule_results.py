"""What rules came to in each batch: `ops.rule_results`, a row per run, pipeline, batch and rule."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from lakeloop.core.run_record import RunContext, now
from lakeloop.lake.ops_tables import TIME, append_rows

RULE_RESULTS = "ops.rule_results"
RULE_RESULT_SCHEMA = pa.schema({
    "run_id": pa.string(), "pipeline": pa.string(), "batch_id": pa.int64(), "rules_version": pa.string(),
    "rule": pa.string(), "severity": pa.string(), "violations": pa.int64(), "kind": pa.string(),
    "columns": pa.string(), "rows": pa.int64(), "value": pa.float64(), "message": pa.string(), "owner": pa.string(),
    "judged_at": TIME,
})  # fmt: skip


@dataclass(frozen=True)
class RuleResult:
    """What one rule came to over `rows` rows; `severity` is `counted` for what is told and is no defect.

    A measured rule has its number in `value` and a sentence in `message`, where it is violated; its `violations` are
    the stretches of time that are not as expected, or 1 without such. A finding of a source or a transform has no
    `kind`.
    """

    rule: str
    severity: str
    violations: int
    rows: int | None = None
    kind: str | None = None
    columns: tuple[str, ...] = ()
    value: float | None = None
    message: str | None = None
    owner: str | None = None
    at_most: float | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing violates it, or no greater share of the rows than is tolerated (`at_most`)."""
        return not self.violations or (self.at_most is not None and self.share <= self.at_most)

    @property
    def share(self) -> float:
        """The violations as a share of the rows."""
        return self.violations / self.rows if self.rows else 0.0

    def owned_by(self, owner: str | None) -> "RuleResult":
        """The result with an owner, where its rule has none of its own."""
        return self if self.owner is not None else replace(self, owner=owner)


def append_results(
    root: str, run: RunContext, pipeline: str, batch_id: int, version: str, results: Sequence[RuleResult]
) -> None:
    """Record the results of one batch under the version of its rules."""
    judged_at = now()
    rows = [
        (
            run.run_id, pipeline, batch_id, version, each.rule, each.severity, each.violations, each.kind,
            ",".join(each.columns) or None, each.rows, each.value, each.message, each.owner, judged_at,
        )
        for each in results
    ]  # fmt: skip
    if rows:
        append_rows(root, RULE_RESULTS, rows, RULE_RESULT_SCHEMA)
