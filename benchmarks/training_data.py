"""Telco customers as rows to learn from: the 7,043 real ones, and as many more drawn from them as are asked for."""

from pathlib import Path

import numpy as np
import pandas as pd

from demo.telco import read_telco

NUMBERS = ("tenure", "monthly_charges", "total_charges")
CATEGORIES = (
    "gender",
    "contract",
    "payment_method",
    "internet_service",
    "online_security",
    "tech_support",
    "streaming_tv",
    "multiple_lines",
)
FOLDS, SEED = 5, 7


def write_customers(folder: Path, rows: int | None = None) -> int:
    """One Parquet file of customers with `label` and `fold`; says how many.

    Rows that are drawn have their numbers changed by 5% of the standard deviation, so that no two are alike.
    """
    draw = np.random.default_rng(SEED)
    customers = _customers()
    if rows is not None:
        customers = customers.iloc[draw.integers(0, len(customers), rows)].reset_index(drop=True)
        for name in NUMBERS:
            customers[name] += draw.normal(scale=customers[name].std() * 0.05, size=rows)
    customers["fold"] = draw.permutation(len(customers)) % FOLDS
    folder.mkdir(parents=True)
    customers.to_parquet(folder / "customers.parquet", index=False)
    return len(customers)


def _customers() -> pd.DataFrame:
    rows = [{**customer, **usage} for customer, usage in read_telco()]
    table = pd.DataFrame(rows)
    table["tenure"] = pd.to_numeric(table["tenure_months"])
    table["label"] = (table["churn"] == "Yes").astype(float)
    for name in NUMBERS:
        table[name] = table[name].astype(float)
    return table[[*NUMBERS, *CATEGORIES, "label"]]
