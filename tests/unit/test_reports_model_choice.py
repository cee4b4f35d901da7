"""The choice of a model, the card and its Markdown: what is said is what was found."""

import datetime as dt
from dataclasses import replace
from typing import Any, cast

import pytest
from lxml import html

from lakeloop.reports.markdown import plain, render_markdown
from lakeloop.reports.model_card import Provenance, model_card
from lakeloop.reports.model_comparison import choice_section, nested_section, said_of_choice
from lakeloop.reports.model_report import model_report, training_sections
from lakeloop.reports.model_sections import comparison_section
from lakeloop.reports.model_warnings import limits, warnings
from lakeloop.reports.page import Section, Table, render_page
from lakeloop.training.algorithms import GridPoint
from lakeloop.training.comparison.comparing import compare
from lakeloop.training.comparison.selection import best_first, selected
from lakeloop.training.cross_validation.candidate_scores import CandidateScore
from lakeloop.training.held_out import HeldOutRecord
from lakeloop.training.metrics.names import METRICS
from lakeloop.training.nested import NestedEstimate, OuterFold
from lakeloop.training.spec.model import ModelSpec
from lakeloop.training.train import TrainingResult
from tests.model_files import measured, model_file

SPEC = model_file(
    description="Who <leaves> | and who stays",
    split={"test": 0.2, "seed": 3},
    folds={"count": 4, "seed": 5},
    features={"numeric": ["tenure_months", "age"]},
)
PROVENANCE = Provenance("churn", "local", 7, 12, "run-1", "0123456789ab")
TEST = measured({0.9: 150, 0.6: 50, 0.2: 50}, {0.8: 25, 0.3: 225, 0.1: 500})


def score(name: str, *folds: float, numbers: int = 10, seconds: float = 0.1, stopped: bool = False) -> CandidateScore:
    figures = tuple(dict.fromkeys(METRICS["binary"], fold) for fold in folds)
    return CandidateScore(GridPoint(name, {"maxIter": 10}, "features"), figures, 1.0, stopped, seconds, numbers)


BEST = score("gradient_boosted_trees", 0.80, 0.90, 0.85, 0.85, numbers=900, seconds=0.2)
NEAR = score("logistic_regression", 0.83, 0.84, 0.84, 0.83, numbers=20)
WORSE = score("decision_tree", 0.50, 0.61, 0.55, 0.55, numbers=950, seconds=0.24)
STOPPED = score("random_forest", 0.4, numbers=5, stopped=True)


def result(*scores: CandidateScore, nested: bool = False, **changes: Any) -> TrainingResult:
    spec = ModelSpec.model_validate(SPEC | changes)
    ranked = best_first(scores, spec.select_by)
    outer = tuple(OuterFold(NEAR.point, each) for each in (TEST, replace(TEST, area_under_roc=0.5)))
    return TrainingResult(
        spec=spec,
        model=cast("Any", None),
        winner=selected(spec, ranked),
        candidates=ranked,
        comparison=compare(spec, ranked),
        nested=NestedEstimate(outer) if nested else None,
        test=TEST,
        held_out=HeldOutRecord(1000, "ab" * 16, dt.datetime(2026, 5, 4, 3, 2, tzinfo=dt.UTC)),
        importance={"tenure_months": 0.9, "age": 0.1},
        rows_train=4000,
        rows_test=1000,
        positives=1250,
        seconds=12.0,
        schema=cast("Any", None),
    )


ALL = result(BEST, NEAR, WORSE, STOPPED, nested=True)


def test_the_table_beside_the_best_has_a_verdict_for_each() -> None:
    (table,) = choice_section(ALL).tables
    texts = table.texts()
    assert [line[0].partition("(")[0] for line in texts] == [
        "gradient_boosted_trees",
        "logistic_regression",
        "decision_tree",
        "random_forest",
    ]
    assert [line[-1] for line in texts] == [
        "best mean",
        "cannot be told apart from the best",
        "worse than the best",
        "given up after 1 of 4 folds",
    ]
    assert texts[0][2:6] == texts[3][2:6] == ["–"] * 4
    assert texts[1][2] == "-0.0150"
    assert [line[-2] for line in texts] == ["yes", "yes", "", ""]


def test_means_stand_with_their_intervals_and_the_front_apart() -> None:
    means, front = choice_section(ALL).charts
    (points,) = means.figure.data
    assert list(points.x) == pytest.approx([0.85, 0.835, 0.5525, 0.4])
    interval = ALL.comparison.candidates[0].interval
    assert interval is not None
    assert points.error_x.array[0] == pytest.approx((interval[1] - interval[0]) / 2)
    assert points.error_x.array[3] == 0  # of a single fold nothing is known
    on, off = front.figure.data
    assert (list(on.x), list(off.x)) == ([900, 20], [950])  # whoever was given up is not weighed


def test_the_words_say_which_one_was_taken_and_how_sure_that_is() -> None:
    assert said_of_choice(result(BEST)).endswith("was taken. There was no other.")
    assert said_of_choice(result(BEST, WORSE)).endswith("It can be told apart from all others.")
    assert said_of_choice(ALL).endswith("1 other candidate cannot be told apart from the best.")
    small = said_of_choice(result(BEST, NEAR, select="one_standard_error"))
    assert "logistic_regression(maxIter=10) was taken, the smallest within one standard error" in small


def test_candidates_that_were_given_up_are_counted() -> None:
    section = comparison_section(ALL, None)
    assert section.intro.startswith(
        "4 candidates, of which 3 were fitted on all 4 folds and the others given up (1 after 1"
    )
    assert [line[-2] for line in section.tables[0].texts()] == ["4", "4", "4", "1"]
    assert section.tables[0].texts()[3][3] == "–"
    other = comparison_section(result(BEST, NEAR, select="one_standard_error"), None)
    assert "is the smallest within one standard error of gradient_boosted_trees" in other.intro


def test_the_nested_estimate_stands_beside_the_winners_mean() -> None:
    assert ALL.nested is not None
    section = nested_section(ALL.nested, ALL)
    mean = (TEST.area_under_roc + 0.5) / 2
    assert f"By area under ROC it is {mean:.4f} ± " in section.intro
    assert section.intro.endswith("flatters, is 0.8500.")
    assert len(section.tables[0].rows) == 2
    assert section.tables[0].total[:3] == ("mean", "", 2000)
    assert [each.title for each in training_sections(ALL, None)][2] == "How good the procedure is"
    assert "How good the procedure is" in model_report(ALL, None, "Model churn")


def test_the_card_says_what_a_user_must_know() -> None:
    card = model_card(ALL, PROVENANCE)
    for text in (
        "# Model card: churn, version 7",
        "data-science answers for it. Trained 2026-05-04 03:02 UTC.",
        r"Who \<leaves\> \| and who stays",
        r"gold.features, version 12",
        "5,000: 4,000 to learn from, 1,000 held out",
        "churn = Yes in 1,250 rows (25.0%)",
        r"| size | 900 numbers |",
        "4, 1 of them given up early",
        "ab" * 16,
        "## Warnings",
        r"tenure\_months alone makes 90% of the importance",
        "lakeloop train churn --env local",
        "split 3, folds 5, search 0",
    ):
        assert text in card.markdown, text
    page = html.fromstring(card.html)
    assert [title.text for title in page.iter("h2")] == [
        "What it answers", "How good it is", "How it was chosen", "How good the procedure is", "What it looks at",
        "Warnings", "Limits", "How to make it again",
    ]  # fmt: skip
    assert "Who <leaves> | and who stays" in page.text_content()
    low, high = TEST.intervals["area_under_roc"]
    metrics = next(line for line in card.markdown.splitlines() if line.startswith("| area under ROC |"))
    assert [cell.strip() for cell in metrics.split("|")][2:5] == [f"{v:.4f}" for v in (TEST.area_under_roc, low, high)]


def test_a_page_without_charts_has_no_script() -> None:
    page = render_page("Card", "", [Section("One", "Text")])
    assert "<script" not in page
    assert "script-src 'none'" in page
    assert len(page) < 10_000


def test_warnings_are_read_off_the_figures() -> None:
    assert warnings(result(BEST, WORSE)) == [
        "tenure_months alone makes 90% of the importance: see that it is known before the answer is."
    ]
    found = " ".join(warnings(ALL))
    assert "The folds cannot tell the best from 1 other candidate" in found
    assert "Nested cross-validation gives area under ROC" in found
    few = replace(ALL, test=measured({0.3: 3}, {0.1: 90}), nested=None, importance={"age": 0.5, "tenure_months": 0.5})
    said = " ".join(warnings(few))
    assert "Only 93 rows were held out" in said
    assert "The rarer class has 3 held-out rows" in said
    assert "The rarer class is 3.2% of the held-out rows" in said
    assert "no held-out row is called positive" in said
    assert "alone makes" not in said
    bad = replace(result(BEST), test=replace(TEST, area_under_roc=0.7))
    assert "area under ROC is 0.7000, more than two deviations worse than over the folds" in " ".join(warnings(bad))


def test_limits_speak_of_time_unless_time_was_kept() -> None:
    assert any("regardless of time" in limit for limit in limits(ALL.spec))
    by_time = ModelSpec.model_validate(SPEC | {"split": {"test": 0.2, "kind": "time", "by": "at"}})
    assert not any("regardless of time" in limit for limit in limits(by_time))


def test_markdown_takes_nothing_for_markup() -> None:
    table = Table("A *table*", ("a|b", "n"), (("x\ny <b>", 1.5), (None, None)))
    text = render_markdown("T_1", "", [Section("S", "in `tro`", tables=(table,)), Section("E", "", tables=(
        Table("None", ("a",), (), empty="No row."),))])  # fmt: skip
    assert text == (
        "# T\\_1\n\n## S\n\nin \\`tro\\`\n\n### A \\*table\\*\n\n"
        "| a\\|b | n |\n| --- | ---: |\n| x y \\<b\\> | 1.5 |\n| – | – |\n\n## E\n\n### None\n\nNo row.\n"
    )
    assert plain("[a](b) # & ~") == r"\[a\](b) \# \& \~"
