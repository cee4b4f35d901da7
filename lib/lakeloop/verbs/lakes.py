"""The lake that a project's verbs work on, and how they tell what they are at."""

from collections.abc import Callable
from pathlib import Path

from lakeloop.core.config import Project
from lakeloop.core.object_store import with_s3
from lakeloop.core.session import build_session, load_properties
from lakeloop.lake.tables import Lake

Progress = Callable[[str], None]


def silent(text: str) -> None:
    """Progress that nobody watches."""


def open_lake(project: Project) -> Lake:
    """The lake of a project, with the Spark session that its environment describes.

    Spark's own log lines go to `_logs/spark.log` in a local lake, so that the terminal stays readable.
    """
    root = project.lake_root
    log_file = None if "://" in root else Path(root) / "_logs" / "spark.log"
    return Lake(build_session(session_properties(project), log_file=log_file), root)


def session_properties(project: Project) -> dict[str, str]:
    """The Spark settings of a project, with the connector of the object store that its folders are in."""
    return with_s3(load_properties(project.spark_properties), [project.lake_root, *project.drop_folders()])
