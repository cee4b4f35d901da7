"""Rides as New York's yellow taxis report them, seeded: the 19 columns that cuallee's published harness reads.

The harness reads the city's public file of one month, which is not shipped here; this is a set of the same columns.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

START = np.datetime64("2022-01-01T00:00:00", "us")


def write_rides(folder: Path, rows: int, seed: int) -> None:
    """One file; one passenger count, rate and airport fee of thirty is NULL, and fares are below 1,000."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(seed)
    absent = draw.random(rows) < 1 / 30
    begun = START + draw.integers(0, 31 * 86_400, rows).astype("timedelta64[s]")
    ended = begun + draw.integers(60, 3_600, rows).astype("timedelta64[s]")
    fare = np.round(draw.gamma(2.0, 8.0, rows), 2)

    def money(*amounts: float) -> pa.Array:
        return pa.array(draw.choice(amounts, rows))

    def integers(least: int, most: int) -> pa.Array:
        return pa.array(draw.integers(least, most, rows, dtype="int64"))

    columns = {
        "VendorID": integers(1, 3), "tpep_pickup_datetime": begun, "tpep_dropoff_datetime": ended,
        "passenger_count": pa.array(draw.integers(0, 7, rows).astype("float64"), mask=absent),
        "trip_distance": np.round(draw.gamma(1.5, 2.0, rows), 2),
        "RatecodeID": pa.array(draw.integers(1, 7, rows).astype("float64"), mask=absent),
        "store_and_fwd_flag": pa.array(draw.choice(["N", "Y"], rows), mask=absent),
        "PULocationID": integers(1, 266), "DOLocationID": integers(1, 266), "payment_type": integers(1, 5),
        "fare_amount": fare, "extra": money(0.0, 0.5, 2.5), "mta_tax": money(0.5, 0.5, 0.0),
        "tip_amount": np.round(fare * draw.random(rows) * 0.3, 2), "tolls_amount": money(0.0, 0.0, 6.55),
        "improvement_surcharge": money(0.3), "total_amount": np.round(fare * 1.3, 2),
        "congestion_surcharge": pa.array(draw.choice([0.0, 2.5], rows), mask=absent),
        "airport_fee": pa.array(draw.choice([0.0, 1.25], rows), mask=absent),
    }  # fmt: skip
    parquet.write_table(pa.table(columns), folder / "rides.parquet")
