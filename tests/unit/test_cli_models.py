"""What `lakeloop train` prints of the candidates."""

from types import SimpleNamespace
from typing import Any, cast

from rich.console import Console

from lakeloop.cli.models import candidates_table
from lakeloop.training.algorithms import GridPoint
from lakeloop.training.cross_validation.candidate_scores import CandidateScore
from lakeloop.verbs import Trained


def score(name: str, *folds: float, stopped: bool = False) -> CandidateScore:
    figures = cast("Any", tuple({"area_under_roc": fold} for fold in folds))
    return CandidateScore(GridPoint(name, {}, "features"), figures, 1.0, stopped)


def test_candidates_stand_with_their_deviation_and_who_was_given_up_or_taken() -> None:
    scores = (score("first", 0.9, 0.8), score("second", 0.8, 0.8), score("third", 0.7, stopped=True))
    spec = SimpleNamespace(select_by="area_under_roc")
    test = SimpleNamespace(figures=lambda: {"area_under_roc": 0.81234, "area_under_pr": 0.5})
    result = SimpleNamespace(spec=spec, winner=scores[1], candidates=scores, test=test)
    console = Console(width=100)
    with console.capture() as shown:
        console.print(candidates_table(cast("Trained", SimpleNamespace(result=result))))
    lines = [" ".join(line.split()) for line in shown.get().splitlines()]
    assert lines[1:4] == [
        "first() 0.8500 ± 0.0707",
        "second() 0.8000 ± 0.0000, taken",
        "third() 0.7000, given up after 1 of 2 folds",
    ]
    assert " ".join(lines[4:]) == "held-out rows: area_under_roc 0.8123, area_under_pr 0.5000"
