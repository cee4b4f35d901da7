"""What the other rows of a group say of a column: windows, so that the batch is read once and no group is collected."""

from collections.abc import Sequence

from pyspark.sql import Column, Window
from pyspark.sql import functions as F

from lakeloop.ingestion.transforms import statistics
from lakeloop.ingestion.transforms.conformed import Conformed
from lakeloop.ingestion.transforms.statistics import Figure
from lakeloop.quality.row_rules.columns import quoted, value_of


def figure_of_group(conformed: Conformed, figure: Figure, by: Sequence[str]) -> tuple[Conformed, Column]:
    """The figure over the counted rows of each row's group, in the type of the column; NULLs in `by` are one group.

    One shuffle by the group, and one more by group and value for the most frequent value.
    """
    column, keys = figure.column, [value_of(key) for key in by]
    source, is_counted = conformed.frame.schema[column].dataType, statistics.is_counted(conformed)
    found, group = conformed.marker(f"figure_{column}"), Window.partitionBy(*keys)
    if figure.take is not None:
        number = F.when(is_counted, statistics.number_of(column, source))
        conformed = conformed.changed({found: figure.take(number).over(group)})
    else:
        value, repeated = F.when(is_counted, value_of(column)), conformed.marker(f"repeated_{column}")
        conformed = conformed.changed({repeated: F.count(value).over(Window.partitionBy(*keys, value_of(column)))})
        conformed = conformed.changed({found: statistics.mode(F.col(quoted(repeated)), value).over(group)})
        conformed = conformed.changed({found: F.col(quoted(found))["value"]})
    return conformed, statistics.in_type(quoted(found), source)


def last_value(conformed: Conformed, column: str, by: Sequence[str], order_by: str) -> Column:
    """The last value of a counted row of the same key up to each row, in the order of `order_by`.

    Ties stand in the order of the source, then of the rows' content. A row with a NULL in key or order has no place: it
    gives no value and gets none.
    """
    columns = conformed.frame.columns
    content = F.xxhash64(*(value_of(name) for name in columns if not name.startswith("_")))
    order = [value_of(order_by), *([F.col("_position")] if "_position" in columns else []), content]
    earlier = Window.partitionBy(*(value_of(key) for key in by)).orderBy(*order)
    has_place = value_of(order_by).isNotNull()
    for key in by:
        has_place = has_place & value_of(key).isNotNull()
    given = F.when(statistics.is_counted(conformed) & has_place, value_of(column))
    last = F.last(given, ignorenulls=True).over(earlier.rowsBetween(Window.unboundedPreceding, Window.currentRow))
    return F.when(has_place, last)
