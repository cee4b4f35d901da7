"""Rows that are changes: what bronze keeps of them beside the data, how they are judged, and values that stayed away.

The hidden column `_change` has, for a row of a source of changes, its `operation`, the `lsn` of its commit, its
`sequence` among the changes of the table in that transaction, and `committed_at`. Its order among all changes of the
pipeline is the `record` in `_position`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from lakeloop.ingestion.transforms import Conformed, Transform
from lakeloop.ingestion.transforms.columns import Rename, Split
from lakeloop.quality import Finding
from lakeloop.quality.row_rules.columns import value_of

CHANGE = "_change"
CHANGE_TYPE = "struct<operation:string,lsn:bigint,sequence:bigint,committed_at:timestamp>"
KEPT, LINE = "_kept", "_line"  # of the frame alone: columns without their value, and which rows are one row
SNAPSHOT, INSERT, UPDATE, DELETE, TRUNCATE = OPERATIONS = ("snapshot", "insert", "update", "delete", "truncate")


def is_removal() -> Column:
    """Whether a row says that a row went, or all of them did."""
    return F.col(CHANGE)["operation"].isin(DELETE, TRUNCATE)


def judged_where_said(findings: Iterable[Finding], keys: Sequence[str]) -> list[Finding]:
    """The findings as they hold for changes: a delete is judged by its key alone and a truncate by nothing.

    Their other columns are NULL because they were not said.
    """
    of_key = F.col(CHANGE)["operation"] != TRUNCATE
    return [
        replace(
            finding,
            violation=F.when(
                of_key if finding.columns and set(finding.columns) <= set(keys) else ~is_removal(), finding.violation
            ),
        )
        for finding in findings
    ]


def columns_of(column: str, transforms: Sequence[Transform]) -> set[str]:
    """The columns that a column of the source has become in the end."""
    names = {column}
    for step in (transform.step for transform in transforms):
        if isinstance(step, Rename):
            names = {step.root.get(name, name) for name in names}
        elif isinstance(step, Split):
            names |= {part for name in names & set(step.root) for part in step.root[name].into}
    return names


def source_columns(columns: Sequence[str], transforms: Sequence[Transform]) -> tuple[str, ...]:
    """The columns of the source that columns of the table were, where they are not new."""
    names = list(columns)
    for step in reversed([transform.step for transform in transforms]):
        if isinstance(step, Rename):
            old = {new: before for before, new in step.root.items()}
            names = [old.get(name, name) for name in names]
    return tuple(names)


def fill_kept(
    conformed: Conformed,
    kept: Sequence[str],
    transforms: Sequence[Transform],
    keys: Sequence[str],
    stored: DataFrame | None,
) -> Conformed:
    """Give columns that did not travel the value that their row had: from earlier in the batch, else from `stored`.

    `kept` are columns of the source. `stored` has at most one row per key, with the state before the batch. A value
    that nobody has quarantines its row as `<column>_unknown`.
    """
    frame, findings = conformed.frame, list(conformed.findings)
    in_order = Window.partitionBy(LINE).orderBy("_position.record")
    upto_here = in_order.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    outputs = {name: sorted(columns_of(name, transforms) & set(frame.columns)) for name in kept}
    # In the key of the row when the batch began: an update may have given it another one since.
    first = {f"_first_{at}": F.first(value_of(key)).over(upto_here) for at, key in enumerate(keys)}
    said: dict[str, Column] = {}
    for name, columns in outputs.items():
        is_said = ~is_removal() & ~F.array_contains(KEPT, name)
        for column in columns:
            said[f"_said_{column}"] = F.last(
                F.when(is_said, F.struct(value_of(column).alias("value"))), ignorenulls=True
            ).over(upto_here)
    frame = frame.withColumns(first | said)
    there = [] if stored is None else [column for column in (f.name for f in stored.schema) if column not in keys]
    if stored is not None:
        theirs = stored.select(
            *(value_of(key).alias(f"_key_{at}") for at, key in enumerate(keys)),
            F.struct(*(value_of(column) for column in there)).alias("_stored"),
        )
        same = [F.col(f"_first_{at}") == F.col(f"_key_{at}") for at in range(len(keys))]
        frame = frame.join(theirs, same, "left")
    filled: dict[str, Column] = {}
    for name, columns in outputs.items():
        is_kept = F.array_contains(KEPT, name)
        for column in columns:
            value = F.col(f"_said_{column}")["value"]
            is_known = F.col(f"_said_{column}").isNotNull()
            if column in there:
                is_stored = F.col("_stored").isNotNull()
                value = F.when(is_known, value).otherwise(F.col("_stored").getField(column))
                is_known = is_known | is_stored
            filled[column] = F.when(is_kept, value).otherwise(value_of(column))
            unknown = f"_unknown_{column}"
            filled[unknown] = is_kept & ~is_known
            message = F.lit(f"{column}: its value did not come with the change, and no earlier row has it")
            findings.append(
                Finding(f"{column}_unknown", F.when(F.col(unknown), message), columns=(column,), blocking=True)
            )
    return replace(conformed, frame=frame.withColumns(filled), findings=tuple(findings))
