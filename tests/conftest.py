"""What all tests share: one Spark session a process, started only when the first test asks for it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from pyspark.sql import SparkSession

from lakeloop.core.session import build_session, load_properties

CONF = Path(__file__).parents[1] / "conf"

settings.register_profile("local", deadline=None)  # the first Spark query of a run is always slow
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The session that users get, made small."""
    properties = load_properties([CONF / "base/spark.properties", CONF / "local/spark.properties"])
    session = build_session(
        properties
        | {
            "spark.master": "local[2]",
            "spark.driver.memory": "1500m",
            # What the UI would show of two thousand tests, plans as text above all, would fill the heap.
            "spark.sql.ui.retainedExecutions": "5",
            "spark.ui.retainedJobs": "20",
            "spark.ui.retainedStages": "20",
            "spark.ui.retainedTasks": "200",
            # Tests end before the second compiler's work pays; the code cache is small without a larger reserve.
            "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.sql.shuffle.partitions": "2",
            "spark.sql.warehouse.dir": tmp_path_factory.mktemp("warehouse").as_uri(),
        },
        app_name="lakeloop-tests",
    )
    yield session
    session.stop()


@pytest.fixture(autouse=True, scope="module")
def forget_tables() -> Iterator[None]:
    """The tables of a module are gone with its folders, but Delta would keep what it knows of each for an hour."""
    yield
    if (session := SparkSession.getActiveSession()) is not None:
        session._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


@pytest.fixture(autouse=True)
def forget_views_and_cache(request: pytest.FixtureRequest) -> Iterator[None]:
    """No Spark test sees what another one cached or named; tests without Spark do not start it."""
    yield
    if "spark" in request.fixturenames:
        session: SparkSession = request.getfixturevalue("spark")
        session.catalog.clearCache()
        for table in session.catalog.listTables():
            if table.isTemporary:
                session.catalog.dropTempView(table.name)
