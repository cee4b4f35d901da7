"""The report of one training: candidates, choice, nested estimate, decision, quality and importance, with charts."""

from lakeloop.reports.model_comparison import choice_section, nested_section
from lakeloop.reports.model_decision import decision_section
from lakeloop.reports.model_sections import comparison_section, importance_section, quality_section
from lakeloop.reports.page import Section, render_page
from lakeloop.training.metrics.measuring import Metrics
from lakeloop.training.train import TrainingResult


def model_report(result: TrainingResult, previous: Metrics | None, title: str) -> str:
    """The page as HTML; `previous` are the champion's metrics on the same held-out rows."""
    subtitle = f"{result.spec.table}, {result.seconds:.0f} s, measured {result.held_out.measured_at:%Y-%m-%d %H:%M} UTC"
    return render_page(title, subtitle, training_sections(result, previous))


def training_sections(result: TrainingResult, previous: Metrics | None) -> list[Section]:
    """All that a training has to show, in the order of its steps."""
    decision = decision_section(result)
    return [
        comparison_section(result, previous),
        choice_section(result),
        *([nested_section(result.nested, result)] if result.nested else []),
        *([decision] if decision else []),
        quality_section(result.test, result.slices),
        importance_section(result.importance),
    ]
