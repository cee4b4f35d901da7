"""What Spark raises when it fails, and what it says in one line."""

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

# An analysis that fails is the first of them, a job that fails mostly the second.
SPARK_FAILURES = (PySparkException, Py4JJavaError)


def said(failure: PySparkException | Py4JJavaError) -> str:
    """The first line of the innermost cause."""
    if isinstance(failure, Py4JJavaError):
        cause = failure.java_exception
        while (inner := cause.getCause()) is not None:
            cause = inner
        text = str(cause.toString())
    else:
        text = str(failure)
    return text.strip().splitlines()[0]


def all_said(failure: Exception) -> str:
    """The failure with all its causes: what stopped a task on an executor stands somewhere between."""
    causes = getattr(failure, "_stackTrace", None) or ""  # PySpark keeps Java's words there and shows them on request
    return f"{failure}\n{causes}"
