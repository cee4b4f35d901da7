"""Where the sources of a key disagree: every value with its source, on the row that stays, and a finding per column."""

from collections.abc import Sequence

from pyspark.sql import Column, WindowSpec
from pyspark.sql import functions as F

from lakeloop.ingestion.transforms.conformed import Conformed, text_of
from lakeloop.quality import Finding
from lakeloop.quality.row_rules.columns import value_of

# array of (column, array of (source, value)) on a row that others were merged into; NULL where no sources disagree
CONFLICTS = "_conflicts"
SHOWN = 100  # characters of a value in a message


def with_conflicts(
    conformed: Conformed, columns: Sequence[str], source: Column, taking: Column, of_key: WindowSpec, stays: Column
) -> Conformed:
    """Add `_conflicts` and one finding of severity warn per column, `<column>_conflicts`; nothing without columns.

    A conflict is a key for which two sources give different values; NULL is no value, and a NULL source is one more.
    """
    if not columns:
        return conformed
    said = {column: conformed.marker(f"said_{number}") for number, column in enumerate(columns)}
    conformed = conformed.changed({
        marker: F.sort_array(F.collect_set(F.when(
            taking & value_of(column).isNotNull(),
            F.struct(source.alias("source"), text_of(conformed.frame, column).alias("value")),
        )).over(of_key))
        for column, marker in said.items()
    })  # fmt: skip
    each = F.array(*(F.struct(F.lit(c).alias("column"), F.col(m).alias("values")) for c, m in said.items()))
    found = F.filter(each, lambda one: _is_conflict(one["values"]))
    conformed = conformed.changed({CONFLICTS: F.when(stays & (F.size(found) > 0), found)})
    return conformed.found(*(Finding(f"{c}_conflicts", _words(c), "warn", (c,)) for c in columns))


def _is_conflict(values: Column) -> Column:
    sources = F.array_distinct(F.transform(values, lambda one: F.coalesce(one["source"], F.lit(""))))
    return (F.size(sources) > 1) & (F.size(F.array_distinct(F.transform(values, lambda one: one["value"]))) > 1)


def _words(column: str) -> Column:
    """`email: crm has a@x.org, shop has b@x.org`, where the sources disagree on this column."""
    own = F.get(F.filter(CONFLICTS, lambda one: one["column"] == F.lit(column)), F.lit(0))["values"]
    each = F.transform(
        own,
        lambda one: F.concat(
            F.coalesce(one["source"], F.lit("NULL")), F.lit(" has "), F.substring(one["value"], 1, SHOWN)
        ),
    )
    return F.when(own.isNotNull(), F.concat(F.lit(f"{column}: "), F.array_join(each, ", ")))
