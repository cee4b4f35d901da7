"""What tests on tables share."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakeloop.lake.tables import Lake


@pytest.fixture
def lake(spark: SparkSession, tmp_path: Path) -> Lake:
    """An empty lake in a folder of its own."""
    return Lake(spark, str(tmp_path / "lake"))
