"""What the terminal, JSON and the page say alike of a table's quality."""

import datetime as dt
import math
from dataclasses import dataclass
from typing import Any

from lakeloop.lake.batch_measures import Number
from lakeloop.lake.batch_profiles import HIGH, LOW, SCORE, BatchNumbers
from lakeloop.quality.batch_anomalies import SCALES, Signal
from lakeloop.reports.table_quality import RuleTrend, TableQuality


@dataclass(frozen=True)
class Learned:
    """A number that is learned: its newest value, the band that it was held against if there was one, its past."""

    number: Number
    value: float
    low: float | None
    high: float | None
    is_outside: bool
    values: tuple[float, ...]

    @property
    def expected(self) -> str | None:
        """The band in words."""
        if self.low is None or self.high is None:
            return None
        return Signal(self.number, self.value, self.low, self.high, 0.0).expected


def learned_rows(past: BatchNumbers) -> list[Learned]:
    """The learned numbers of the newest batch that say something: the table's, then column by column.

    Of columns that never had a NULL nothing is said.
    """
    found = []
    for number, values in past.values.items():
        known = tuple(value for value in values if not math.isnan(value))
        if number.metric not in SCALES or not known or math.isnan(values[-1]):
            continue
        if number.metric == "null_share" and not any(known):
            continue
        low, high = past.of(number, LOW)[-1], past.of(number, HIGH)[-1]
        has_band = not math.isnan(low) and not math.isnan(high)
        is_outside = not math.isnan(past.of(number, SCORE)[-1])
        band = (low, high) if has_band else (None, None)
        found.append(Learned(number, values[-1], band[0], band[1], is_outside, known))
    order = list(SCALES)
    return sorted(
        found,
        key=lambda one: (
            one.number.column is not None,
            one.number.column or "",
            order.index(one.number.metric),
            -one.value,
        ),
    )


def as_json(table: TableQuality, now: dt.datetime) -> dict[str, Any]:
    """Everything that is known of a table, for programs."""
    at, last = table.last_rows_at, table.last
    return {
        "table": table.name,
        "pipeline": table.spec.pipeline,
        "owner": table.spec.owner,
        "state": table.state,
        "last_run": None if table.history.last_run is None else table.history.last_run.outcome,
        "batch_id": None if last is None else last.batch_id,
        "rows_read": None if last is None else last.counts.read,
        "share_good": table.good_shares[-1] if table.good_shares else None,
        "shares_good": table.good_shares,
        "last_rows_at": None if at is None else at.isoformat(),
        "seconds_since_rows": None if at is None else (now - at).total_seconds(),
        "is_overdue": table.is_overdue or table.silent is not None,
        "rules_violated": table.violated,
        "rules": [_rule(rule) for rule in table.rules],
        "incidents": [
            {"id": one.last.id, "kind": one.last.kind, "severity": one.last.severity, "message": one.last.message,
             "opened_at": one.opened_at.isoformat()}
            for one in table.incidents
        ],
        "follows": table.follows,
        "learning": table.learning,
        "learned": [
            {"column": one.number.column, "metric": one.number.metric, "category": one.number.category,
             "value": one.value, "low": one.low, "high": one.high, "is_anomaly": one.is_outside}
            for one in learned_rows(table.numbers)
        ],
    }  # fmt: skip


def _rule(rule: RuleTrend) -> dict[str, Any]:
    latest = rule.latest
    return {
        "rule": rule.name, "kind": latest.kind, "columns": latest.columns.split(",") if latest.columns else [],
        "severity": latest.severity, "owner": rule.owner, "violations": latest.violations, "rows": latest.rows,
        "share": rule.shares[-1], "shares": rule.shares, "value": latest.value, "message": latest.message,
    }  # fmt: skip
