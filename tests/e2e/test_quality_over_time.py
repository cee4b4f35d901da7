"""A batch that is not as ever, from the file that was dropped to what people see: the run, the incident, the page."""

import datetime as dt
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from lakeloop.lake.batch_measures import Number
from lakeloop.lake.table_profiles import append_numbers

ROOT = Path(__file__).parents[2]
ORDERS = """
pipeline: orders
description: Orders, one row per order
owner: shop-team
source: {files: drop, formats: {csv: {}}, fields: [order_id, amount, country], settle: 0s}
transforms: [{cast: {amount: "decimal(10,2)"}}]
rules: [{is_not_null: order_id}, {is_in: {column: country, values: [DE, FR, IT], severity: warn}}]
sink: {table: silver.orders}
watch_over: {means: [amount], shares: [country]}
"""
COUNTRIES = """
pipeline: countries
description: Orders with a country, one row per order
source: {tables: [silver.orders]}
rules: [{is_not_null: country}]
sink: {table: silver.countries}
watch_over: {}
"""


def lakeloop(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "lakeloop.cli", *arguments], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "lib"), "COLUMNS": "100"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def learn(root: str) -> None:
    """Thirty days of some 400 orders: made up, so that the test need not wait for them."""
    dice, now, rows = random.Random(3), dt.datetime.now(dt.UTC), []
    for day in range(30, 0, -1):
        at, weekend = now - dt.timedelta(days=day), (now - dt.timedelta(days=day)).weekday() >= 5
        read = round(400 * dice.gauss(1, 0.05) * (0.6 if weekend else 1))
        numbers = {
            Number(None, "rows_read"): read,
            Number(None, "rows"): read,
            Number(None, "quarantined_share"): 0.0,
            Number(None, "wait_seconds"): 86_400 + dice.randrange(300),
        }
        shares = {Number("country", "share", "DE"): 0.6, Number("country", "share", "FR"): 0.4}
        more = {Number("amount", "mean"): 25 + dice.gauss(0, 0.5), Number("country", "null_share"): 0.01, **shares}
        for pipeline, of in (("orders", numbers | more), ("countries", numbers)):
            where = (f"silver.{pipeline}", pipeline, -day, None, at)
            rows += [(*where, n.column, n.metric, n.category, float(value)) for n, value in of.items()]
    append_numbers(root, rows)


@pytest.mark.slow
def test_a_batch_that_is_not_as_ever_becomes_one_incident_that_people_see(tmp_path: Path) -> None:
    base = tmp_path / "conf/base"
    for part in (base / "pipelines", tmp_path / "conf/local", tmp_path / "drop"):
        part.mkdir(parents=True)
    (base / "platform.yml").write_text(f"lake: {tmp_path}/lake\n")
    (base / "connections.yml").write_text(f"drop: {{files: {{path: {tmp_path}/drop}}}}\n")
    for name in ("base", "local"):
        (tmp_path / f"conf/{name}/spark.properties").write_text((ROOT / f"conf/{name}/spark.properties").read_text())
    (base / "pipelines/orders.yml").write_text(ORDERS)
    (base / "pipelines/countries.yml").write_text(COUNTRIES)
    learn(f"{tmp_path}/lake")
    lines = [f"{i},{20 + i % 9},{'' if i % 3 else 'DE'}" for i in range(60)]
    (tmp_path / "drop/monday.csv").write_text("\n".join(["order_id,amount,country", *lines, ",1,DE"]) + "\n")

    ran = " ".join(lakeloop(tmp_path, "run").split())
    print(ran)
    assert "Incidents: 1 opened" in ran
    assert "countries follows orders (anomaly): good rows 20, expected" in ran
    seen = " ".join(lakeloop(tmp_path, "incidents").split())
    print(seen)
    assert "anomaly (warn): " in seen
    assert "country: NULL in 66.67%" in seen
    assert "also seen in countries" in seen
    overview = lakeloop(tmp_path, "quality")
    details = lakeloop(tmp_path, "quality", "silver.orders")
    print(overview, details)
    assert "follows orders" in overview
    assert "country: NULL in" in details
    page = lakeloop(tmp_path, "quality", "--report").split("file://")[1].strip()
    html = Path(page).read_text()
    assert "silver.countries" in html
    assert "also seen in countries" in html
