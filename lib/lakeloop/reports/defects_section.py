"""The section on planted defects: rows known to be wrong, and whether exactly these were found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lakeloop.reports.charts import ACCENT, ALERT, OUTCOME_COLORS, horizontal_bars
from lakeloop.reports.page import Chart, Section, Table, Verdict

MATCH_COLORS = {"found": ACCENT, "missed": ALERT, "unexpected": OUTCOME_COLORS["quarantined"]}


@dataclass(frozen=True)
class DefectRow:
    """One kind of planted defect: rows planted, rows of them found with this very reason, good rows given it."""

    pipeline: str
    reason: str
    outcome: Literal["quarantined", "dropped", "refused"]
    planted: int
    found: int
    unexpected: int

    @property
    def missed(self) -> int:
        """Planted rows that passed, or were found for another reason."""
        return self.planted - self.found


def defects_section(rows: Sequence[DefectRow]) -> Section:
    """Whether the defects that were planted on purpose were found, all of them and nothing else."""
    pipelines = list(dict.fromkeys(row.pipeline for row in rows))
    series = {
        match: [sum(getattr(row, match) for row in rows if row.pipeline == pipeline) for pipeline in pipelines]
        for match in MATCH_COLORS
    }
    found, missed, unexpected = (sum(counts) for counts in series.values())
    verdict = Verdict(
        f"{found:,} of {found + missed:,} planted defects found with the right reason; "
        f"{unexpected:,} good rows quarantined or dropped.",
        holds=not missed and not unexpected,
    )
    table = Table(
        "Planted rows by reason",
        ("pipeline", "reason", "outcome", "planted", "found", "missed", "unexpected"),
        tuple(
            (row.pipeline, row.reason, row.outcome, row.planted, row.found, row.missed, row.unexpected) for row in rows
        ),
        total=("all", "", "", found + missed, found, missed, unexpected),
        empty="No defect was planted.",
    )
    bars = horizontal_bars(pipelines, series, MATCH_COLORS, "rows")
    return Section(
        title="Planted defects",
        intro="Rows known to be wrong were added on purpose. Found means: this very row, for this very reason.",
        verdict=verdict if rows else None,
        charts=(Chart("Planted rows by pipeline", bars),) if rows else (),
        tables=(table,),
    )
