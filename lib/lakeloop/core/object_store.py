"""What Spark needs to reach S3, for projects that name a folder there."""

import os
from collections.abc import Iterable, Mapping

JARS = "spark.jars.packages"
CONNECTOR = "org.apache.hadoop:hadoop-aws:3.3.4"  # of the Hadoop that Spark brings; 280 MB with what it needs
S3A = "spark.hadoop.fs.s3a."


def with_s3(properties: Mapping[str, str], folders: Iterable[str]) -> dict[str, str]:
    """The properties, and where a folder is on s3a:// the connector's jars and the endpoint, unless they say their own.

    Endpoint and region are those of AWS_ENDPOINT_URL and AWS_REGION. Credentials are not among the properties, which
    Spark shows: its connector takes them from the environment itself, or from the role of the machine.
    """
    if not any(folder.startswith("s3a://") for folder in folders):
        return dict(properties)
    jars = properties.get(JARS, "")
    if "hadoop-aws" not in jars:
        jars = ",".join(filter(None, [jars, CONNECTOR]))
    found: dict[str, str] = {}
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
        found = {f"{S3A}endpoint": endpoint, f"{S3A}path.style.access": "true"}
    if region := os.environ.get("AWS_REGION", os.environ.get("AWS_DEFAULT_REGION")):
        found[f"{S3A}endpoint.region"] = region
    return {**found, **properties, JARS: jars}
