"""Which of several tables a row goes to: one column beside the conformed ones, and what a row without a table is."""

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core.documents import propose
from lakeloop.core.errors import TableError
from lakeloop.core.spark_failures import said
from lakeloop.ingestion.sink_spec import NO_ROUTE, Target
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.views import ROUTE
from lakeloop.quality import Finding
from lakeloop.quality.judgement import reason

ANSI = "spark.sql.ansi.enabled"


def routed(frame: DataFrame, spec: PipelineSpec) -> DataFrame:
    """The rows with the route that each takes in `_route`, NULL where none does; as they are for a single table.

    The first condition that is true decides; one that is NULL, or that fails on a row, is not true of it. Raises
    TableError for a condition that does not fit the columns, and for a column of a table that no row has.
    """
    for target in spec.targets:
        _require_columns(frame, spec, target)
    if spec.sink.routes is None:
        return frame
    whens = " ".join(f"WHEN ({target.where}\n) THEN '{target.route}'" for target in spec.targets)
    with _failing_softly(frame.sparkSession):
        try:
            return frame.selectExpr("*", f"CASE {whens} END AS {ROUTE}")
        except AnalysisException as failure:
            raise _unfit(frame, spec, failure) from failure


def no_route(spec: PipelineSpec) -> tuple[list[Finding], Column | None]:
    """What is found of a row that no route takes, and, where it is declared to be dropped, the reason for that.

    A row whose route cannot be told because one of the columns of the conditions is bad has that reason alone.
    """
    if spec.sink.routes is None:
        return [], None
    text = F.lit(f"no route takes it: no condition of {spec.said_tables} is true")
    message = F.when(F.col(ROUTE).isNull(), text)
    if spec.sink.otherwise == "drop":
        return [], F.when(F.col(ROUTE).isNull(), reason(NO_ROUTE, text))
    columns = dict.fromkeys(column for target in spec.targets for column in target.looks_at)
    return [Finding(NO_ROUTE, message, "error", tuple(columns))], None


@contextmanager
def _failing_softly(spark: SparkSession) -> Iterator[None]:
    """Conditions that are analysed inside this block give NULL where a value does not fit, instead of an error."""
    before = spark.conf.get(ANSI)
    spark.conf.set(ANSI, "false")
    try:
        yield
    finally:
        spark.conf.set(ANSI, str(before))


def _require_columns(frame: DataFrame, spec: PipelineSpec, target: Target) -> None:
    there = [name for name in frame.columns if not name.startswith("_")]
    for name in target.columns or ():
        if name not in there:
            raise TableError(f"{spec.pipeline}: no column '{name}' for {target.table}; {propose(name, there)}")


def _unfit(frame: DataFrame, spec: PipelineSpec, failure: AnalysisException) -> TableError:
    """The error for the first condition that Spark does not take."""
    for target in spec.targets:
        try:
            frame.selectExpr(f"CASE WHEN ({target.where}\n) THEN 1 END")
        except AnalysisException as one:
            return TableError(f"{spec.pipeline}: the route to {target.table}: {said(one)}")
    return TableError(f"{spec.pipeline}: its routes: {said(failure)}")
