"""The defects planted in the demo's deliveries, as data, and the ground truth that a run is judged by.

A planted row is an additional row with an identity of its own and violates one rule; real rows stay as they are. Only a
duplicate repeats a real row: the same again, or an older version of it.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from demo.telco import Row

Defect = tuple[str, Row]
Outcome = Literal["quarantined", "dropped", "refused"]  # refused: a file that is none of its kind as a whole

# Per day: the reason, and the values that make a clean row violate it.
CUSTOMERS: dict[int, list[Defect]] = {
    1: [
        ("customer_id_is_not_null", {"customer_id": None, "tenure_months": "61"}),
        ("contract_is_not_null", {"contract": None}),
        ("tenure_months_is_castable", {"tenure_months": "12 months"}),
        ("tenure_months_is_castable", {"tenure_months": "99999999999"}),
        ("tenure_months_is_in_range", {"tenure_months": "-1"}),
        ("tenure_months_is_in_range", {"tenure_months": "121"}),
        ("contract_is_in", {"contract": "Three year"}),
        ("contract_is_in", {"contract": "one year"}),
        ("churn_is_in", {"churn": "Maybe"}),
    ],
    2: [
        ("customer_id_is_not_null", {"customer_id": None, "tenure_months": "62"}),
        ("contract_is_not_null", {"contract": None}),
        ("tenure_months_is_castable", {"tenure_months": "n/a"}),
        ("tenure_months_is_in_range", {"tenure_months": "1200"}),
        ("churn_is_in", {"churn": "0"}),
    ],
}

USAGE: dict[int, list[Defect]] = {
    1: [
        ("customer_id_is_not_null", {"customer_id": None}),
        ("monthly_charges_is_castable", {"monthly_charges": "n/a"}),
        ("monthly_charges_is_castable", {"monthly_charges": [29.85]}),
        ("total_charges_is_castable", {"total_charges": "unknown"}),
        ("phone_service_is_castable", {"phone_service": "maybe"}),
        ("monthly_charges_is_in_range", {"monthly_charges": -0.01}),
        ("monthly_charges_is_in_range", {"monthly_charges": 500.01}),
        ("internet_service_is_in", {"internet_service": "Satellite"}),
        ("usage_id_is_unique", {"usage_id": "U95001", "monthly_charges": 20.0}),
        ("usage_id_is_unique", {"usage_id": "U95001", "monthly_charges": 70.0}),
        ("customer_id_references", {"customer_id": "C95001"}),
    ],
    2: [
        ("monthly_charges_is_castable", {"monthly_charges": "$70.35"}),
        ("monthly_charges_is_in_range", {"monthly_charges": 7035}),
        ("internet_service_is_in", {"internet_service": "fiber"}),
        ("usage_id_is_unique", {"usage_id": "U95002", "monthly_charges": 30.0}),
        ("usage_id_is_unique", {"usage_id": "U95002", "monthly_charges": 90.0}),
        ("customer_id_references", {"customer_id": "C95002"}),
    ],
}

CONTACTS: dict[int, list[Defect]] = {
    1: [
        ("contact_id_is_not_null", {"contact_id": None}),
        ("customer_id_is_not_null", {"customer_id": None}),
        ("contacted_at_is_castable", {"contacted_at": "31/12/2025 10:00"}),
        ("minutes_is_castable", {"minutes": "ten"}),
        ("satisfaction_is_castable", {"satisfaction": "good"}),
        ("minutes_is_in_range", {"minutes": -5}),
        ("minutes_is_in_range", {"minutes": 601}),
        ("satisfaction_is_in_range", {"satisfaction": 0}),
        ("satisfaction_is_in_range", {"satisfaction": 6}),
        ("channel_is_in", {"channel": "fax"}),
        ("customer_id_references", {"customer_id": "C95003"}),
    ],
    2: [
        ("contacted_at_is_castable", {"contacted_at": "soon"}),
        ("minutes_is_in_range", {"minutes": 6000}),
        ("channel_is_in", {"channel": "Phone call"}),
        ("customer_id_references", {"customer_id": "C95004"}),
    ],
}

# Per day, file format and text: lines that are no row at all. A line of CSV has seven cells.
MALFORMED: dict[int, list[tuple[str, str]]] = {
    1: [
        ("csv", "S94001,C00001,2026-01-01T09:00:00Z,phone"),
        ("csv", "S94002,C00001,2026-01-01T09:00:00Z,phone,billing,12,4,left a message"),
        ("jsonl", '{"contact_id": "S94003", "customer_id": "C00001", "contacted_at": "2026-01-01T09:'),
    ],
    2: [("jsonl", "S94004 C00001 called about a bill")],
}

# Per day: the line that breaks an XML file. The first is not well-formed, the second is where the transfer stopped.
BROKEN_XML = {
    1: "<contact><contact_id>S94005</contact_id><topic>billing & payment</topic></contact>",
    2: "<contact><contact_id>S94006</contact_id><topic>bill",
}

# Of the three published files, which come on day 1 only.
HOUSES: list[Defect] = [
    ("house_id_is_primary_key", {"House_Id": None}),
    ("sale_price_is_not_null", {"Sale_Price": None}),
    ("sale_price_is_in_range", {"Sale_Price": 0}),
    ("gr_liv_area_is_in_range", {"Gr_Liv_Area": -1}),
    ("is_built_when_sold", {"Year_Built": 2107}),
    ("bldg_type_is_in", {"Bldg_Type": "Houseboat"}),
]
LOANS: list[Defect] = [
    ("loan_id_is_primary_key", {"loan_id": None}),
    ("annual_inc_is_castable", {"annual_inc": "72k"}),
    ("annual_inc_is_in_range", {"annual_inc": -72000.0}),
    ("int_rate_is_in_range", {"int_rate": 1399}),
    ("term_is_in", {"term": "term_48"}),
    ("class_is_in", {"Class": "Bad"}),
]
BROKEN_LOAN = "L94001,16100,term_36,13.99"
REVIEWS: list[Defect] = [
    ("review_id_is_primary_key", {"review_id": None}),
    ("review_is_not_blank", {"review": None}),
    ("review_is_not_blank", {"review": " \t"}),
    ("product_matches", {"product": "n/a"}),
    ("score_is_in", {"score": "5 stars"}),
]
CUT_OFF_REVIEW = '{"review_id": "R94001", "product": "B000000000", "review": "I bought this for my'


@dataclass(frozen=True)
class Planted:
    """One row, or file, that must not reach silver, and why.

    `where` finds it in what was delivered. For a table or the API it holds raw column values as text, all of which
    match; for a file `{"file": name, "line": n}`, a physical line counted from 1. An exact copy cannot be told from the
    row that it repeats: in a table `where` finds both, and in files either may be the one that is dropped.
    """

    pipeline: str
    outcome: Outcome
    reason: str
    where: dict[str, str | int | None]


def plant(clean: Iterable[Row], defects: Sequence[Defect]) -> list[tuple[str, Row]]:
    """Puts each defect into one clean row; returns reason and row."""
    return [(reason, {**row, **values}) for row, (reason, values) in zip(clean, defects, strict=True)]


def mix(
    rows: Sequence[Row],
    planted: Sequence[tuple[str, Row]],
    repeats: Sequence[Callable[[Row], Row]],
    *,
    time_col: str,
    start: datetime,
    rng: random.Random,
) -> list[tuple[str | None, Row]]:
    """Puts planted rows and repeats at random places among real rows; returns each row with its reason, None if real.

    `time_col` becomes a datetime, one second later from row to row; a repeat is made from a row that has its time.
    """
    mixed: list[tuple[str | None, Row]] = [(None, row) for row in rows]
    for defect in planted:
        mixed.insert(rng.randrange(len(mixed)), defect)
    mixed = [
        (reason, {**row, time_col: start + timedelta(seconds=i)}) for i, (reason, row) in enumerate(mixed, start=1)
    ]
    real = [row for reason, row in mixed if reason is None]
    for repeat, row in zip(repeats, rng.sample(real, len(repeats)), strict=True):
        mixed.insert(rng.randrange(len(mixed)), ("dedupe", repeat(row)))
    return mixed


def planted_row(pipeline: str, reason: str, row: Row, locate_by: Sequence[str]) -> Planted:
    """The ground truth of a row of a table or an API, found by the columns of `locate_by`."""
    where = {column: None if row[column] is None else str(row[column]) for column in locate_by}
    return Planted(pipeline, outcome_of(reason), reason, {**where})


def planted_line(pipeline: str, reason: str, file: str, line: int) -> Planted:
    """The ground truth of a line of a file."""
    return Planted(pipeline, outcome_of(reason), reason, {"file": file, "line": line})


def outcome_of(reason: str) -> Outcome:
    """Duplicates are dropped by declaration; whatever violates a rule or cannot be read is quarantined or refused."""
    outcomes: dict[str, Outcome] = {"dedupe": "dropped", "file_refused": "refused"}
    return outcomes.get(reason, "quarantined")
