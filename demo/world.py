"""The telco company of the demo, day by day: what its CRM, its usage API and its support desk deliver.

Day 1 brings most customers with their usage and support contacts. Day 2 brings the other customers, the usage that was
held back, and changed contracts. After that nothing is new. Everything follows from the seed. Beside them lie three
files that others have published, on houses, loans and reviews, as a whole from day 1 on.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from demo.defects import CUSTOMERS, USAGE, Planted, mix, plant, planted_row
from demo.houses import pack_houses
from demo.loans import pack_loans
from demo.reviews import pack_reviews
from demo.support_desk import draw_contacts, pack_files
from demo.telco import Row, read_telco

DAYS = (1, 2)
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
CONTRACTS = ["Month-to-month", "One year", "Two year"]
LATE_SHARE = 0.05  # of the customers, who join on day 2
HELD_BACK = 40  # customers of day 1 whose usage comes on day 2
CHANGED = 40  # customers whose contract changes on day 2
CALL_AGAIN = 300  # customers of day 1 who may contact the support desk on day 2 too

CREATE_CUSTOMERS = """
CREATE TABLE IF NOT EXISTS customers (
    customer_id text, gender text, senior_citizen boolean, partner boolean, dependents boolean, tenure_months text,
    contract text, paperless_billing boolean, payment_method text, churn text, updated_at timestamptz
)"""
INSERT_CUSTOMERS = """
COPY customers (customer_id, gender, senior_citizen, partner, dependents, tenure_months, contract, paperless_billing,
                payment_method, churn, updated_at) FROM STDIN"""
CHANGE_CONTRACT = """
UPDATE customers SET contract = %(contract)s, updated_at = %(updated_at)s WHERE customer_id = %(customer_id)s"""


def _other_contract(row: Row) -> str:
    return CONTRACTS[CONTRACTS.index(str(row["contract"])) - 1]


def _older_customer(row: Row) -> Row:
    updated_at = row["updated_at"]
    assert isinstance(updated_at, datetime)
    return {**row, "contract": _other_contract(row), "updated_at": updated_at - SECOND / 2}


# Per day, how a real row is repeated: `dict` is the same row again.
CUSTOMER_REPEATS: dict[int, list[Callable[[Row], Row]]] = {
    1: [dict, dict, _older_customer, _older_customer],
    2: [dict, _older_customer],
}
USAGE_REPEATS: dict[int, list[Callable[[Row], Row]]] = {1: [dict, dict], 2: [dict]}


class World:
    """All deliveries of both days, built once; two worlds of one seed are equal.

    Attributes:
        customers: per day, the rows that are inserted into the CRM's table, planted ones included.
        changes: per day, the updates of that table: `customer_id`, the new `contract`, `updated_at`.
        files: per day, the support desk's files by name.
        published: the files on houses, loans and reviews, by their paths.
        planted: per day, the ground truth of that day's deliveries, of all pipelines.
    """

    def __init__(self, seed: int = 7) -> None:
        rng = random.Random(seed)
        telco = read_telco()
        customer_ids = [str(customer["customer_id"]) for customer, _ in telco]
        late = set(rng.sample(customer_ids, round(LATE_SHARE * len(customer_ids))))
        early = [customer_id for customer_id in customer_ids if customer_id not in late]
        held_back = set(rng.sample(early, HELD_BACK))

        people: dict[int, list[Row]] = {day: [] for day in DAYS}
        readings: dict[int, list[Row]] = {day: [] for day in DAYS}
        for customer, usage in telco:
            people[2 if customer["customer_id"] in late else 1].append(customer)
            readings[2 if usage["customer_id"] in late | held_back else 1].append(usage)
        # A planted reading names a customer who has no other reading in the same delivery.
        silent = {1: sorted(held_back), 2: sorted(set(early) - held_back)}
        callers = {1: early, 2: [*sorted(late), *rng.sample(early, CALL_AGAIN)]}

        self.customers: dict[int, list[Row]] = {}
        self.files: dict[int, dict[str, bytes]] = {}
        self.planted: dict[int, list[Planted]] = {day: [] for day in DAYS}
        self._usage: dict[int, list[Row]] = {}
        contacts_before = 0
        for day in DAYS:
            start = FIRST_DAY + (day - 1) * timedelta(days=1)
            self.customers[day] = self._plan_customers(day, people[day], start, rng)
            self._usage[day] = self._plan_usage(day, readings[day], silent[day], start, rng)
            contacts = draw_contacts(callers[day], contacts_before + 1, start, rng)
            contacts_before += len(contacts)
            self.files[day], planted = pack_files(day, contacts, early, start, rng)
            self.planted[day] += planted

        versions = Counter(row["customer_id"] for row in self.customers[1])
        changed = rng.sample([row for row in people[1] if versions[row["customer_id"]] == 1], CHANGED)
        noon = FIRST_DAY + timedelta(days=1, hours=12)
        self.changes: dict[int, list[Row]] = {
            1: [],
            2: [
                {"customer_id": row["customer_id"], "contract": _other_contract(row), "updated_at": noon + i * SECOND}
                for i, row in enumerate(changed)
            ],
        }
        self.published: dict[str, bytes] = {}
        for files, planted in (pack_houses(rng), pack_loans(rng), pack_reviews(rng)):
            self.published |= files
            self.planted[1] += planted

    def usage(self, day: int) -> list[Row]:
        """Every record that the usage API has by the end of a day, planted ones included; from day 2 on all of them."""
        return [record for delivered, records in self._usage.items() if delivered <= day for record in records]

    def deliver(self, day: int, connection: psycopg.Connection[Any], drop_folder: Path) -> list[Planted]:
        """Brings a day's customers into the CRM and its files into the drop folder; returns the day's ground truth.

        Days come in order. A day that was delivered before changes nothing, and after day 2 nothing is new. The table
        is changed in one transaction (a savepoint where the connection has one open); a file appears complete.
        """
        if day not in DAYS:
            return []
        start = FIRST_DAY + (day - 1) * timedelta(days=1)
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute(CREATE_CUSTOMERS)
            if not cursor.execute("SELECT 1 FROM customers WHERE updated_at >= %s LIMIT 1", [start]).fetchone():
                with cursor.copy(INSERT_CUSTOMERS) as copy:
                    for row in self.customers[day]:
                        copy.write_row(list(row.values()))
                cursor.executemany(CHANGE_CONTRACT, self.changes[day])
        _drop(self.files[day], drop_folder)
        return list(self.planted[day])

    def publish(self, folder: Path) -> None:
        """Lays the published files into a folder, where they are not there; each appears complete."""
        _drop(self.published, folder)

    def _plan_customers(self, day: int, people: Sequence[Row], start: datetime, rng: random.Random) -> list[Row]:
        spare: list[Row] = [
            {**person, "customer_id": f"C{90_000 + 100 * day + i}"}
            for i, person in enumerate(rng.sample(people, len(CUSTOMERS[day])))
        ]
        mixed = mix(
            people, plant(spare, CUSTOMERS[day]), CUSTOMER_REPEATS[day], time_col="updated_at", start=start, rng=rng
        )
        locate_by = ("customer_id", "contract", "tenure_months")
        self.planted[day] += [planted_row("customers", reason, row, locate_by) for reason, row in mixed if reason]
        return [row for _, row in mixed]

    def _plan_usage(
        self, day: int, readings: Sequence[Row], silent: Sequence[str], start: datetime, rng: random.Random
    ) -> list[Row]:
        count = len(USAGE[day])
        spare: list[Row] = [
            {**reading, "usage_id": f"U{90_000 + 100 * day + i}", "customer_id": customer_id}
            for i, (reading, customer_id) in enumerate(
                zip(rng.sample(readings, count), rng.sample(silent, count), strict=True)
            )
        ]
        mixed = mix(
            readings, plant(spare, USAGE[day]), USAGE_REPEATS[day], time_col="measured_at", start=start, rng=rng
        )
        locate_by = ("usage_id", "customer_id")
        self.planted[day] += [planted_row("usage", reason, row, locate_by) for reason, row in mixed if reason]
        return [{**row, "measured_at": f"{row['measured_at']:%Y-%m-%dT%H:%M:%SZ}"} for _, row in mixed]


def _drop(files: Mapping[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            partial = path.with_name(f".{path.name}.partial")
            partial.write_bytes(content)
            partial.rename(path)
