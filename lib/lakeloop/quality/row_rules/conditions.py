"""The rule for everything that has no rule of its own."""

from typing import Annotated

from pydantic import AfterValidator
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakeloop.quality.row_rules.columns import all_violated_when
from lakeloop.quality.sql_conditions import Condition, columns_of


def _about_columns(condition: str) -> str:
    if not columns_of(condition):
        raise ValueError("the condition reads no column, so it says the same of every row")
    return condition


def sql(condition: Annotated[Condition, AfterValidator(_about_columns)]) -> Column:
    """A condition of Spark SQL is not false: `sql: net + tax = gross`. NULL holds, as everywhere.

    So a condition on a column that is NULL is mostly NULL itself and holds; write `coalesce(…, false)` to refuse that.
    It looks at one row, and gives the same every time: no subquery, no aggregate, no `rand()`.
    """
    return all_violated_when(~F.expr(condition).cast("boolean"), columns_of(condition), condition)


RULES = (sql,)
