"""The lake that a project's verbs work on."""

from pathlib import Path

from lakeloop.core.config import Project
from lakeloop.core.object_store import with_s3
from lakeloop.core.session import build_session, load_properties
from lakeloop.core.spark_nlp import require_spark_nlp, with_spark_nlp
from lakeloop.lake.tables import Lake


def open_lake(project: Project, *, spark_nlp: bool = False) -> Lake:
    """The lake of a project, with the Spark session that its environment describes, and Spark NLP if a model needs it.

    Spark's own log lines go to `_logs/spark.log` in a local lake, so that the terminal stays readable.
    Raises TrainingError where Spark NLP is asked for and not installed, or the session that runs has none.
    """
    root = project.lake_root
    log_file = None if "://" in root else Path(root) / "_logs" / "spark.log"
    properties = session_properties(project)
    spark = build_session(with_spark_nlp(properties) if spark_nlp else properties, log_file=log_file)
    if spark_nlp:
        require_spark_nlp(spark)
    return Lake(spark, root)


def session_properties(project: Project) -> dict[str, str]:
    """The Spark settings of a project, with the connector of the object store that its folders are in."""
    return with_s3(load_properties(project.spark_properties), [project.lake_root, *project.drop_folders()])
