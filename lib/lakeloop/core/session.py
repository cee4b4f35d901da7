"""The Spark session: built here on a laptop, taken as it is under spark-submit and on Databricks."""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyspark.errors import PySparkRuntimeError
from pyspark.sql import SparkSession

from lakeloop.core.disk import full_disk, is_full, spill_folders
from lakeloop.core.errors import ConfigError, DiskFullError, LakeloopError
from lakeloop.core.java import ensure_java
from lakeloop.core.spark_failures import SPARK_FAILURES, all_said

# spark-submit leaves the port of its JVM here; the session inside is not created yet, but its settings are decided.
SUBMITTED = "PYSPARK_GATEWAY_PORT"


def load_properties(paths: Sequence[Path]) -> dict[str, str]:
    """Spark settings of one or more properties files; a later file overrides an earlier one.

    The format is the part of Java's that `spark-submit --properties-file` reads the same way: one `key value` or
    `key=value` a line, `#` before a comment line, no backslash. A file that is not there adds nothing, since an
    overlay need not have one.

    Raises:
        ConfigError: A line is not a Spark setting; the message names file and line.
    """
    properties: dict[str, str] = {}
    for path in paths:
        if path.is_file():
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                if (text := line.strip()) and not text.startswith("#"):
                    key, value = _parse(text, f"{path}:{number}")
                    properties[key] = value
    return properties


class _KnownMembers:
    """Static members of a Java class, each looked up once.

    PySpark asks the JVM by reflection for `functions` and for `col` each time that somebody writes `F.col`: with many
    rules that is most of what a plan takes to be written down.
    """

    def __init__(self, java_class: Any) -> None:
        self._java_class = java_class

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._java_class, name)
        setattr(self, name, member)
        return member


def _remember_members(spark: SparkSession) -> None:
    jvm: Any = getattr(spark, "_jvm", None)  # a session of Spark Connect has none
    for name in ("functions", "PythonUtils") if jvm is not None else ():
        if name not in vars(jvm):
            setattr(jvm, name, _KnownMembers(getattr(jvm, name)))


def build_session(
    properties: Mapping[str, str], app_name: str = "lakeloop", log_file: Path | None = None
) -> SparkSession:
    """The one session of this process, created with `properties` where nobody has created one yet.

    Under spark-submit, on Databricks and where a session is active, master, memory, jars and catalogs are somebody
    else's decision: only the settings that Spark lets a running session change are applied, and `app_name` is not.
    With `log_file`, what a new Java process prints is appended there instead of on the terminal.

    Raises:
        JavaMissingError: No Java 17 was found.
        DiskFullError: There is no space where Spark would spill.
        LakeloopError: Spark did not start, most often because its jars could not be fetched.
    """
    if SUBMITTED in os.environ or SparkSession.getActiveSession() is not None:
        spark = SparkSession.builder.getOrCreate()
        for key, value in properties.items():
            if spark.conf.isModifiable(key) and not key.startswith("spark.sql.catalog."):
                spark.conf.set(key, value)
        _remember_members(spark)
        return spark
    ensure_java()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else workers take whatever `python3` is on the PATH
    try:
        with _output_to(log_file):
            spark = SparkSession.builder.appName(app_name).config(map=dict(properties)).getOrCreate()
            _remember_members(spark)
            return spark
    except (OSError, *SPARK_FAILURES) as error:
        if is_full(all_said(error)):
            disk = full_disk(spill_folders(properties.get("spark.local.dir")))
            raise DiskFullError(f"Spark cannot start: {disk}; free some space there and run again") from error
        if not isinstance(error, PySparkRuntimeError) or error.getErrorClass() != "JAVA_GATEWAY_EXITED":
            raise
        place = f"in {log_file}" if log_file else "above"
        jars = properties.get("spark.jars.packages", "none")
        raise LakeloopError(
            f"Spark's Java process ended before it was ready; its own lines stand {place}. If they say `unresolved "
            f"dependency`, the jars of spark.jars.packages ({jars}) are not in Ivy's cache yet and Maven Central is "
            "out of reach: run `make setup` once with a network, later runs need none. Otherwise look at "
            "spark.driver.memory and at what the lines name."
        ) from error


@contextmanager
def _output_to(file: Path | None) -> Iterator[None]:
    """The Java process keeps for life what standard output and error are while it starts."""
    if file is None:
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    terminal = {stream: os.dup(stream) for stream in (1, 2)}
    try:
        with file.open("ab") as log:
            for stream in terminal:
                os.dup2(log.fileno(), stream)
        yield
    finally:
        for stream, duplicate in terminal.items():
            os.dup2(duplicate, stream)
            os.close(duplicate)


def _parse(text: str, place: str) -> tuple[str, str]:
    setting = re.fullmatch(r"(spark\.[^\s=:\\]+)\s*[=:\s]\s*([^\s=:\\][^\\]*)", text)
    if setting is None:
        raise ConfigError(
            f"{place}: `{text}` is not a Spark setting. Write `spark.some.key value` on one line, without backslashes."
        )
    return setting[1], setting[2]
