"""Customers who may leave, in the columns of the demo's churn model, drawn by a seed."""

import numpy as np
import pandas as pd

YES_NO = ("Yes", "No")
ADDED = ("Yes", "No", "No internet service")
TEXTS = {
    "gender": ("Female", "Male"), "senior_citizen": ("0", "1"), "partner": YES_NO, "dependents": YES_NO,
    "contract": ("Month-to-month", "One year", "Two year"), "paperless_billing": YES_NO,
    "payment_method": ("Bank transfer (automatic)", "Credit card (automatic)", "Electronic check", "Mailed check"),
    "phone_service": YES_NO, "multiple_lines": ("Yes", "No", "No phone service"),
    "internet_service": ("DSL", "Fiber optic", "No"), "online_security": ADDED, "online_backup": ADDED,
    "device_protection": ADDED, "tech_support": ADDED, "streaming_tv": ADDED, "streaming_movies": ADDED,
}  # fmt: skip
NUMBERS = {"tenure_months": "int", "monthly_charges": "double", "total_charges": "double", "contacts": "bigint",
           "mean_satisfaction": "double"}  # fmt: skip
KINDS = {**NUMBERS, **dict.fromkeys(TEXTS, "string")}
SCHEMA = ", ".join(["customer_id bigint", *(f"{name} {kind}" for name, kind in KINDS.items()), "churn string"])
SEED = 11


def customers(rows: int, seed: int = SEED) -> pd.DataFrame:
    """`rows` customers; one value in fifty is not known. The same seed gives the same rows."""
    draw = np.random.default_rng(seed)
    made = {name: draw.choice(values, rows).astype(object) for name, values in TEXTS.items()}
    tenure, monthly = draw.integers(0, 73, rows), np.round(draw.uniform(18, 119, rows), 2)
    contacts, satisfaction = draw.poisson(1.2, rows), np.round(draw.normal(3.5, 0.8, rows), 2)
    margin = (
        -0.5 - 0.04 * tenure + 0.015 * monthly + 0.4 * contacts - 0.5 * (satisfaction - 3.5)
        + 1.2 * (made["contract"] == "Month-to-month") + 0.7 * (made["internet_service"] == "Fiber optic")
        - 0.5 * (made["tech_support"] == "Yes") * (tenure < 24)
    )  # fmt: skip
    leaves = draw.random(rows) < 1 / (1 + np.exp(-margin))
    numbers = dict(zip(NUMBERS, (tenure, monthly, np.round(tenure * monthly, 2), contacts, satisfaction), strict=True))
    for name, values in {**numbers, **made}.items():
        known = values.astype(object)
        known[draw.random(rows) < 0.02] = None
        made[name] = known
    listed = {name: made[name] for name in KINDS}
    return pd.DataFrame({"customer_id": np.arange(rows), **listed, "churn": np.where(leaves, "Yes", "No")})
