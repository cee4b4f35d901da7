"""Which files make Spark fail: a footer may be whole where the pages behind it are not."""

from collections.abc import Callable, Iterator, Sequence

from pyspark.sql import DataFrame

from lakeloop.core.spark_failures import SPARK_FAILURES, said
from lakeloop.ingestion.sources.files.inspection import Inspected

NO_READER = "Failed to find data source"  # no file is to blame for a jar that is not there


def find_unreadable(
    files: Sequence[Inspected], read: Callable[[Sequence[Inspected]], DataFrame]
) -> Iterator[tuple[str, str]]:
    """The path of each file that Spark cannot read, and why. Halves what fails, so few bad files cost few jobs.

    Raises what Spark raises where it has no reader of the format.
    """
    try:
        read(files).write.format("noop").mode("overwrite").save()
    except SPARK_FAILURES as failure:
        if NO_READER in str(failure):
            raise
        if len(files) == 1:
            yield files[0].path, f"Spark cannot read it: {said(failure)}"
            return
        middle = len(files) // 2
        for half in (files[:middle], files[middle:]):
            yield from find_unreadable(half, read)
