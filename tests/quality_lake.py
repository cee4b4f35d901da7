"""A lake with a past, made without a JVM: four tables with sixty daily batches, their rules, numbers and incidents."""

import datetime as dt
import random
from pathlib import Path
from typing import Any

import pyarrow as pa

from lakeloop.core.config import Project
from lakeloop.lake.batch_measures import Number
from lakeloop.lake.batch_profiles import BatchNumbers
from lakeloop.lake.ledger import RUN_SCHEMA, RUNS
from lakeloop.lake.rule_results import RULE_RESULT_SCHEMA, RULE_RESULTS
from lakeloop.lake.table_profiles import append_numbers
from lakeloop.monitoring.incidents import Event, record_events
from lakeloop.quality.batch_anomalies import READ, ROWS, WAIT, judge_numbers, with_bands
from tests.small_lake import OWN, append

DAYS = 60
PIPELINES = {
    "orders": """
pipeline: orders
description: Orders, one row per order
owner: shop-team
source: {files: drop, formats: {csv: {}}, fields: [order_id, amount, country]}
rules:
  - is_not_null: order_id
  - is_in: {column: country, values: [DE, FR, IT], severity: warn, owner: masterdata}
  - is_in_range: {column: amount, min: 0}
sink: {table: silver.orders}
watch_over: {means: [amount], shares: [country]}
""",
    "countries": """
pipeline: countries
description: Orders that have a country, one row per order
owner: finance
source: {tables: [silver.orders]}
rules: [{is_not_null: country}]
sink: {table: silver.countries}
watch_over: {}
""",
    "customers": """
pipeline: customers
description: Customers, one row per customer
owner: crm-team
source: {files: drop, formats: {csv: {}}, fields: [customer_id, email]}
rules: [{is_not_null: customer_id}, {matches: {column: email, pattern: ".+@.+"}}]
sink: {table: silver.customers, mode: merge, keys: [customer_id]}
columns: {email: {tags: [pii]}}
""",
    "payments": """
pipeline: payments
description: Payments, one row per payment
source: {files: drop, formats: {csv: {}}, fields: [payment_id]}
rules: [{is_not_null: payment_id}]
sink: {table: silver.payments}
""",
    "visits": """
pipeline: visits
description: Visits of pages, one row per visit
source: {files: drop, formats: {csv: {}}, fields: [page]}
sink: {table: silver.visits}
""",
}


def write_quality_lake(folder: Path, now: dt.datetime) -> Project:
    """The lake and its configuration."""
    base = folder / "conf/base"
    for part in ("conf/base/pipelines", "conf/local", "drop"):
        (folder / part).mkdir(parents=True)
    (base / "platform.yml").write_text(f"lake: {folder}/lake\n")
    (base / "connections.yml").write_text(f"drop: {{files: {{path: {folder}/drop}}}}\n")
    for name, text in PIPELINES.items():
        (base / f"pipelines/{name}.yml").write_text(text)
    _Past(str(folder / "lake"), now, random.Random(7)).write()
    return Project(folder / "conf", "local")


class _Past:
    def __init__(self, root: str, now: dt.datetime, dice: random.Random) -> None:
        self.root, self.now, self.dice = root, now, dice
        self.runs: list[tuple[Any, ...]] = []
        self.results: list[tuple[Any, ...]] = []

    def write(self) -> None:
        orders = self._orders()
        for day in range(DAYS):
            read, _, at, bad = orders[day]
            self._batch("orders", day, read, bad, at, [
                ("order_id_is_not_null", "error", bad // 2, "is_not_null", "order_id", read, None, None, None),
                ("amount_is_in_range", "error", bad - bad // 2, "is_in_range", "amount", read, None, None, None),
                ("country_is_in", "warn", 300 if day == DAYS - 1 else self.dice.randrange(6), "is_in", "country",
                 read, None, None, "masterdata"),
                ("row_count", "warn", int(read < 500), "row_count", None, read, float(read),
                 f"{read} rows, expected at least 500" if read < 500 else None, None),
                ("lookup_matched", "counted", 5, None, None, None, None, None, None),
            ])  # fmt: skip
            later = at + dt.timedelta(minutes=20)
            self._batch("countries", day, read - bad, 0, later, [
                ("country_is_not_null", "error", 0, "is_not_null", "country", read - bad, None, None, None),
            ])  # fmt: skip
            self._batch("customers", day, 200, 3, at, [
                ("customer_id_is_not_null", "error", 0, "is_not_null", "customer_id", 200, None, None, None),
                ("email_matches", "error", 3, "matches", "email", 200, None, None, None),
            ])  # fmt: skip
            self._batch("payments", day, 50, 0, at, [
                ("payment_id_is_not_null", "error", 0, "is_not_null", "payment_id", 50, None, None, None),
            ])  # fmt: skip
        said = "shop: the folder /drop/payments is out of reach"
        self._run("payments", None, "failed", (0, 0, 0, 0), self.now - dt.timedelta(minutes=5), said)
        append(self.root, RUNS, [(field.name, field.type) for field in RUN_SCHEMA], self.runs)
        append(self.root, RULE_RESULTS, [(field.name, field.type) for field in RULE_RESULT_SCHEMA], self.results)
        self._numbers(orders)
        self._bronze()
        opened = self.now - dt.timedelta(hours=3)
        evidence = (
            "amount: mean 73.1, expected 48.6 to 51.5; country = IT: share 31.00%, expected 4.29% to 7.92%; "
            "also seen in countries"
        )
        common = ("r-orders-59", opened, "opened", (), ())
        record_events(self.root, [
            Event("0123456789ab", "anomaly", "orders", "warn", "orders:anomaly:", evidence, *common),
            Event("ba9876543210", "run_failed", "payments", "error", "payments:run_failed:SourceError", said, *common),
        ])  # fmt: skip

    def _orders(self) -> list[tuple[int, int, dt.datetime, int]]:
        found = []
        for day in range(DAYS):
            at = self.now - dt.timedelta(days=DAYS - 1 - day, hours=3) + dt.timedelta(minutes=self.dice.randrange(10))
            read = round((500 if at.weekday() >= 5 else 1000) * self.dice.gauss(1, 0.05))
            read = round(read * 0.2) if day == 47 else read
            bad = round(read * abs(self.dice.gauss(0.01, 0.004)))
            found.append((read, read - bad, at, bad))
        return found

    def _numbers(self, orders: list[tuple[int, int, dt.datetime, int]]) -> None:
        for pipeline, table in (("orders", "silver.orders"), ("countries", "silver.countries")):
            lines: dict[Number, list[float]] = {}
            ended: list[dt.datetime] = []
            kept_rows: list[tuple[Any, ...]] = []
            for day, (read, good, at, bad) in enumerate(orders):
                last = day == DAYS - 1
                italy = 0.31 if last else 0.06 + self.dice.gauss(0, 0.004)
                numbers: dict[Number, float] = {
                    READ: read,
                    ROWS: good,
                    Number(None, "quarantined_share"): bad / read,
                    Number("country", "null_share"): 0.2 if day == 40 else 0.02 + abs(self.dice.gauss(0, 0.003)),
                    Number("order_id", "null_share"): 0.0,
                }
                if pipeline == "orders":
                    numbers |= {
                        Number("amount", "mean"): 73.1 if last else 50 + self.dice.gauss(0, 0.3),
                        Number("country", "share", "DE"): 0.94 - 0.3 - italy,
                        Number("country", "share", "FR"): 0.36,
                        Number("country", "share", "IT"): italy,
                    }
                if ended:
                    numbers[WAIT] = (at - ended[-1]).total_seconds()
                past = BatchNumbers(table, tuple(range(day)), tuple(ended), lines)
                kept = with_bands(numbers, judge_numbers(past, numbers, at, least=14))
                for number in {*kept, *lines}:
                    lines.setdefault(number, [float("nan")] * day).append(kept.get(number, float("nan")))
                ended.append(at)
                where = (table, pipeline, day, None, at)
                kept_rows += [(*where, n.column, n.metric, n.category, float(value)) for n, value in kept.items()]
            append_numbers(self.root, kept_rows)

    def _bronze(self) -> None:
        position = pa.struct([("origin", pa.string()), ("record", pa.int64())])
        schema = [*OWN, ("_position", position), ("id", pa.string())]
        at = self.now - dt.timedelta(hours=3)
        for pipeline, rule, message, text in (
            ("orders", "amount_is_in_range", "amount: found -3, expected a number from 0 to ∞", "17,-3,DE"),
            (
                "customers",
                "email_matches",
                "email: found ann.example.com, expected .+@.+",
                "4,ann.example.com",
            ),
        ):
            own = (DAYS - 1, f"r-{pipeline}-{DAYS - 1}", at, "quarantined", [{"rule": rule, "message": message}])
            rows = [(*own, text, None, {"origin": "/drop/a.csv", "record": line}, str(line)) for line in (18, 40)]
            append(self.root, f"bronze.{pipeline}", schema, rows, partition_by=["_verdict"])

    def _batch(
        self, name: str, number: int, read: int, bad: int, at: dt.datetime, results: list[tuple[Any, ...]]
    ) -> None:
        self._run(name, number, "succeeded", (read, read - bad, bad, 0), at, "1 file: a.csv")
        for rule, severity, violations, *rest in results:
            where = (f"r-{name}-{number}", name, number, "v1", rule, severity, violations)
            self.results.append((*where, *rest, at))

    def _run(
        self, name: str, number: int | None, outcome: str, counts: tuple[int, ...], at: dt.datetime, said: str
    ) -> None:
        run_id = f"r-{name}-{number}"
        self.runs.append(
            (run_id, "run", name, f"silver.{name}", number, outcome, *counts, at, at, said, "local", "ann")
        )
