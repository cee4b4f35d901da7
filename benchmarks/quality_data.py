"""Order lines in Parquet, seeded: 14 columns, some 18 rows of a hundred break one of the 21 checks or more."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import compute, parquet

ROWS_PER_FILE = 500_000
CUSTOMERS = 50_000
CHANNELS, STATUSES = ("web", "shop", "phone"), ("new", "paid", "sent", "closed")
LATEST = np.datetime64("2026-06-01T00:00:00", "us")
FAULT = 0.01  # of the rows, for each of the faults


def write_order_lines(folder: Path, rows: int, seed: int) -> None:
    """Files `lines_<n>.parquet`; the customers that exist are in `customers` beside the folder."""
    folder.mkdir(parents=True)
    for number, first in enumerate(range(0, rows, ROWS_PER_FILE)):
        draw = np.random.default_rng((seed, number))
        table = order_lines(draw, first, min(ROWS_PER_FILE, rows - first))
        parquet.write_table(table, folder / f"lines_{number:04d}.parquet")


def write_customers(folder: Path) -> None:
    """The table that `customer_id` refers to: `id` and `name`."""
    folder.mkdir(parents=True)
    ids = np.arange(CUSTOMERS, dtype="int64")
    parquet.write_table(pa.table({"id": ids, "name": texts("Customer ", ids, "")}), folder / "customers.parquet")


def order_lines(draw: np.random.Generator, first: int, rows: int) -> pa.Table:
    """Rows with their faults, each fault in rows of its own choice."""

    def some() -> NDArray[np.bool_]:
        return draw.random(rows) < FAULT

    line_id = np.arange(first, first + rows, dtype="int64")
    order_no, line_no = line_id // 4 + 1, (line_id % 4).astype("int32")
    # The row after repeats the key, so that each fault makes two rows that share one.
    twice = np.flatnonzero(some()[:-1] & (np.arange(rows - 1) % 4 != 3))
    line_id[twice + 1] = line_id[twice]
    again = np.flatnonzero(some()[:-1] & (np.arange(rows - 1) % 4 != 3))
    line_no[again + 1] = line_no[again]
    ordered = LATEST - draw.integers(0, 90 * 86_400, rows).astype("timedelta64[s]")
    sent = ordered + draw.integers(0, 5 * 86_400, rows).astype("timedelta64[s]")
    sent = np.where(some(), ordered - np.timedelta64(1, "D"), sent)
    customer = np.where(some(), CUSTOMERS + 7, draw.integers(0, CUSTOMERS, rows))
    quantity = np.where(some(), 0, draw.integers(1, 20, rows)).astype("int32")
    price = np.where(some(), -1.0, np.round(draw.random(rows) * 500, 2))
    discount = np.where(some(), 1.5, np.round(draw.random(rows) * 0.3, 2))
    total = np.where(some(), 99_999.0, quantity * price * (1 - discount))
    total = np.where(draw.random(rows) < FAULT / 2, np.nan, total)
    email = compute.if_else(pa.array(some()), "no address", texts("user", customer, "@example.org"))
    sku = compute.if_else(pa.array(some()), "??", texts("SKU-", draw.integers(100_000, 999_999, rows), ""))
    return pa.table({
        "line_id": pa.array(line_id, mask=some()), "order_no": pa.array(order_no, mask=some()), "line_no": line_no,
        "customer_id": pa.array(customer, mask=some()), "ordered_at": instants(ordered, some()),
        "sent_at": instants(sent, some()), "channel": chosen(draw, CHANNELS, "pigeon", some()),
        "status": chosen(draw, STATUSES, "lost", some()), "email": nulled(email, some()), "sku": sku,
        "quantity": quantity, "price": pa.array(price, mask=some()), "discount": discount, "total": total,
    })  # fmt: skip


def texts(before: str, numbers: NDArray[np.int64], after: str) -> pa.Array:
    """Each number with the same text before and after it."""
    return compute.binary_join_element_wise(before, compute.cast(pa.array(numbers), pa.string()), after, "")


def instants(times: NDArray[np.datetime64], absent: NDArray[np.bool_]) -> pa.Array:
    """Times in UTC, NULL where they are absent."""
    return pa.array(times.astype("datetime64[us]").astype("int64"), pa.int64(), mask=absent).cast(
        pa.timestamp("us", "UTC")
    )


def chosen(draw: np.random.Generator, values: tuple[str, ...], wrong: str, spoiled: NDArray[np.bool_]) -> pa.Array:
    """One of the values, and the wrong one in spoiled rows."""
    places = np.where(spoiled, len(values), draw.integers(0, len(values), len(spoiled)))
    return pa.array([*values, wrong]).take(pa.array(places))


def nulled(values: pa.Array, absent: NDArray[np.bool_]) -> pa.Array:
    """The values, NULL where they are absent."""
    return compute.if_else(pa.array(absent), pa.scalar(None, values.type), values)
