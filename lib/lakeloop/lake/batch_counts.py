"""What a record table holds of one batch, counted without Spark from the few columns that tell it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

from lakeloop.core.run_record import RowCounts
from lakeloop.lake.ops_tables import uri_of
from lakeloop.lake.views import ROUTE


@dataclass(frozen=True)
class BatchCounts:
    """Rows of a batch by origin, by the reasons they have, and, per hidden column of outcomes, by outcome.

    A row without an origin counts under the empty one, a row of two reasons under both; those of dropped rows are in
    `dropped_by`. `by_route` has good rows alone, and is empty where the record is that of one table.
    """

    by_origin: Mapping[str, RowCounts] = field(default_factory=dict)
    by_reason: Mapping[str, int] = field(default_factory=dict)
    outcomes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    by_route: Mapping[str | None, int] = field(default_factory=dict)
    dropped_by: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> RowCounts:
        """All of them together."""
        total = RowCounts()
        for counts in self.by_origin.values():
            total += counts
        return total


def count_batch(root: str, record_table: str, batch_id: int, outcomes: Sequence[str] = ()) -> BatchCounts:
    """Count the rows of a batch; `outcomes` are hidden columns to count the values of, where the table has them."""
    table = DeltaTable(uri_of(root, record_table))
    columns = {field.name for field in table.schema().fields}
    there = [name for name in outcomes if name in columns]
    builder = QueryBuilder().register("record", table)

    def grouped(columns: str, rows: str = "record") -> list[tuple[Any, ...]]:
        sql = f"SELECT {columns}, count(*) AS n FROM {rows} WHERE _batch_id = {int(batch_id)} GROUP BY ALL"
        return [tuple(row.values()) for row in pa.table(builder.execute(sql).read_all()).to_pylist()]

    by_origin: dict[str, RowCounts] = {}
    for origin, verdict, rows in grouped("coalesce(_position['origin'], '') AS origin, _verdict"):
        counted = RowCounts(rows, **{verdict: rows})
        by_origin[origin] = by_origin.get(origin, RowCounts()) + counted
    reasons = "(SELECT _batch_id, unnest(_reasons) AS reason, _verdict = 'dropped' AS is_dropped FROM record)"
    found = grouped("reason['rule'] AS rule, is_dropped", reasons)
    by_reason = {rule: rows for rule, is_dropped, rows in found if not is_dropped}
    dropped_by = {rule: rows for rule, is_dropped, rows in found if is_dropped}
    by_outcome = {name: {value: rows for value, rows in grouped(f'"{name}"') if value is not None} for name in there}
    good = f"(SELECT _batch_id, {ROUTE} FROM record WHERE _verdict = 'good')"
    by_route = dict(grouped(ROUTE, good)) if ROUTE in columns else {}
    return BatchCounts(by_origin, by_reason, by_outcome, by_route, dropped_by)
