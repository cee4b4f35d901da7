"""How a model does on parts of the rows: one table per column that is declared under `slices`."""

from collections.abc import Sequence

from lakeloop.reports.model_names import METRIC_NAMES
from lakeloop.reports.page import Table, rounded
from lakeloop.training.metrics.binary import BinaryMetrics
from lakeloop.training.metrics.measuring import SliceMetrics
from lakeloop.training.metrics.names import Metric

FEW_ROWS, FEW_OF_A_CLASS = 100, 10
SHOWN: tuple[Metric, ...] = (
    *("area_under_roc", "area_under_pr", "precision", "recall", "f1", "mcc", "brier", "expected_calibration_error"),
    *("cost", "r2", "rmse", "mae", "mape"),
)


def slice_tables(slices: Sequence[SliceMetrics]) -> tuple[Table, ...]:
    """The metrics of each value, the values of one column in one table; NULL is named so.

    Fewer than 100 rows, or than 10 of a class, are marked as few: their metrics are by chance. Metrics that are not
    defined, such as those of one class, are dashes.
    """
    columns = dict.fromkeys(part.column for part in slices)
    return tuple(_table(column, [part for part in slices if part.column == column]) for column in columns)


def _table(column: str, parts: Sequence[SliceMetrics]) -> Table:
    figures = [part.metrics.figures() if part.metrics is not None else {} for part in parts]
    shown = [name for name in SHOWN if any(name in of for of in figures)]
    has_classes = any(isinstance(part.metrics, BinaryMetrics) for part in parts)
    rows = tuple(
        (
            "NULL" if part.value is None else part.value,
            part.rows,
            *((_positive_share(part),) if has_classes else ()),
            *(rounded(of[name]) if name in of else None for name in shown),
            "few rows" if is_small(part) else "",
        )
        for part, of in zip(parts, figures, strict=True)
    )
    return Table(
        f"Held-out rows by {column}",
        (
            column,
            "rows",
            *(("share positive",) if has_classes else ()),
            *(METRIC_NAMES[name] for name in shown),
            "",
        ),
        rows,
    )


def is_small(part: SliceMetrics) -> bool:
    """Whether a slice has too few rows for its metrics to mean much."""
    metrics = part.metrics
    if metrics is None or part.rows < FEW_ROWS:
        return True
    if not isinstance(metrics, BinaryMetrics):
        return False
    return min(metrics.positives, metrics.rows - metrics.positives) < FEW_OF_A_CLASS


def _positive_share(part: SliceMetrics) -> float | None:
    metrics = part.metrics
    return metrics.positives / metrics.rows if isinstance(metrics, BinaryMetrics) else None
