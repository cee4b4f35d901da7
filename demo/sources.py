"""The demo's systems, all running: a CRM in PostgreSQL, a usage API, two folders, and the settings that find them."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

from demo.defects import Planted
from demo.postgres import EmbeddedPostgres
from demo.usage_api import UsageApi
from demo.world import DAYS, World

CRM_PASSWORD = "demo-crm-password"
API_TOKEN = "demo-api-token"


@dataclass(frozen=True)
class Delivery:
    """What stands in the sources now. `day` counts deliveries; `is_new`: something came since the last run."""

    day: int
    is_new: bool
    planted: list[Planted]


@contextmanager
def running_sources(folder: Path, world: World, day: int | None = None) -> Iterator[Delivery]:
    """Start the systems, deliver the next day's data (or bring the data up to `day`), and set the environment.

    `folder` keeps the database, the dropped files and the ground truth of all planted defects between runs.
    """
    drop, published = folder / "support_drop", folder / "published"
    world.publish(published)
    drop.mkdir(parents=True, exist_ok=True)
    truth = folder / "planted.json"
    delivered = _delivered(truth)
    is_new = delivered < max(DAYS) if day is None else delivered < day
    today = delivered + is_new if day is None else max(day, delivered)
    with EmbeddedPostgres(folder / "crm", CRM_PASSWORD) as crm, UsageApi(world.usage(today), API_TOKEN) as api:
        planted = [Planted(**entry) for entry in json.loads(truth.read_text())["planted"]] if delivered else []
        with psycopg.connect(crm.dsn) as connection:
            for missing in range(delivered + 1, today + 1):
                planted += world.deliver(missing, connection, drop)
        truth.write_text(json.dumps({"day": today, "planted": [asdict(entry) for entry in planted]}, indent=1))
        with _environment(
            CRM_JDBC_URL=crm.jdbc_url,
            LAKELOOP_SECRET_CRM_PASSWORD=CRM_PASSWORD,
            USAGE_API_URL=api.url,
            LAKELOOP_SECRET_USAGE_API_TOKEN=API_TOKEN,
            SUPPORT_DROP_PATH=str(drop.resolve()),
            PUBLISHED_PATH=str(published.resolve()),
            LAKELOOP_LAKE=str((folder / "lake").resolve()),
        ):
            yield Delivery(today, is_new, planted)


def _delivered(truth: Path) -> int:
    return int(json.loads(truth.read_text())["day"]) if truth.is_file() else 0


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
