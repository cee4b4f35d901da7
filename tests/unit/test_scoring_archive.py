"""The archive of a scorer: the same bytes, the same answers, clear words where it is none."""

import json
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lakeloop.core.errors import ScorerError, ScoringError
from lakeloop.scoring.archive import read_archive, write_archive
from lakeloop.scoring.row_code import RowCode
from lakeloop.scoring.row_functions import FUNCTIONS
from lakeloop.scoring.scorer import Scorer
from lakeloop.scoring.stages.linear import BinaryLinear
from lakeloop.scoring.stages.scalars import Impute, Index
from lakeloop.scoring.stages.vectors import Assemble, OneHot, Scale

# margin = 2 * age / 10 - 1 + (0.5 if plan is 'a', -0.25 if 'b')
STAGES = [
    Impute(["age"], ["filled"], [4.0], float("nan")),
    Index(["plan"], ["index"], [["a", "b"]], keeps=True),
    OneHot(["index"], ["slots"], [2]),
    Assemble(["filled", "slots"], "assembled"),
    Scale("assembled", "features", np.zeros(3), np.array([0.1, 1.0, 1.0])),
    BinaryLinear("features", "raw", "probability", "prediction", np.array([2.0, 0.5, -0.25]), -1.0, 0.0),
]
SCORER = Scorer({"age": "double", "plan": "string"}, STAGES, "binary")


def share(margin: float) -> float:
    return float(1 / (1 + np.exp(-margin)))


@pytest.mark.parametrize(
    ("row", "margin"),
    [({"age": 5.0, "plan": "a"}, 0.5), ({"plan": "b"}, -0.45), ({"age": None, "plan": None}, -0.2),
     ({"age": float("nan"), "plan": "c", "more": 1}, -0.2), ({}, -0.2)],
)  # fmt: skip
def test_answers_are_those_worked_out_by_hand(row: dict[str, object], margin: float) -> None:
    label, probability = SCORER.score(row)
    assert (label, probability) == (float(margin > 0), pytest.approx(share(margin), abs=1e-15))
    many = SCORER.score_many([row, row])
    assert many.predictions.tolist() == [float(margin > 0)] * 2
    assert many.probabilities is not None
    assert many.probabilities[:, 1] == pytest.approx([share(margin)] * 2, abs=1e-15)


def test_tables_in_another_order_and_of_another_type_are_conformed() -> None:
    table = pa.table({"plan": ["a"], "more": [1], "age": pa.array([5], pa.int32())})
    assert SCORER.score_many(table).predictions.tolist() == [1.0]
    with pytest.raises(ScoringError, match="column age is string, double is wanted"):
        SCORER.score_many(pa.table({"age": ["old"], "plan": ["a"]}))


def test_no_rows_have_no_answers() -> None:
    answers = SCORER.score_many([])
    assert answers.predictions.shape == (0,)
    assert answers.probabilities is not None
    assert answers.probabilities.shape == (0, 2)


def test_values_of_another_kind_are_named() -> None:
    with pytest.raises(ScoringError, match=r"column age: found 'old', a number is wanted"):
        SCORER.score({"age": "old"})
    with pytest.raises(ScoringError, match=r"row 2, column plan: found 3, a text is wanted"):
        SCORER.score_many([{}, {"plan": 3}])


def test_written_and_read_it_is_the_same(tmp_path: Path) -> None:
    write_archive(SCORER, tmp_path / "a.zip")
    again = read_archive(tmp_path / "a.zip")
    write_archive(again, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert again.score({"age": 5.0, "plan": "a"}) == SCORER.score({"age": 5.0, "plan": "a"})
    assert all(not name.endswith((".py", ".pkl")) for name in zipfile.ZipFile(tmp_path / "a.zip").namelist())
    with pytest.raises(FileExistsError):
        write_archive(SCORER, tmp_path / "a.zip")


def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path) -> None:
    file = tmp_path / "model.zip"
    with pytest.raises(ScorerError, match="there is no archive"):
        read_archive(file)
    file.write_bytes(b"text")
    with pytest.raises(ScorerError, match="no archive of a scorer"):
        read_archive(file)
    write_archive(SCORER, tmp_path / "good.zip")
    whole = (tmp_path / "good.zip").read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ScorerError, match="no archive of a scorer"):
        read_archive(file)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"format": 2}, "is of format 2, this version reads 1"), ({"stages": [{"part": "Guess"}]}, "a stage 'Guess'")],
)
def test_archives_of_later_versions_are_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    write_archive(SCORER, tmp_path / "good.zip")
    with zipfile.ZipFile(tmp_path / "good.zip") as good, zipfile.ZipFile(tmp_path / "later.zip", "w") as later:
        document = json.loads(good.read("scorer.json")) | change
        later.writestr("scorer.json", json.dumps(document))
        for name in good.namelist()[1:]:
            later.writestr(name, good.read(name))
    with pytest.raises(ScorerError, match=said):
        read_archive(tmp_path / "later.zip")


def test_texts_of_a_model_never_become_code() -> None:
    nasty = "'); import os; ('"
    stages = [
        Index([nasty], ["index"], [[nasty, '"""', "\\"]], keeps=True),
        OneHot(["index"], ["slots"], [3]),
        Assemble(["slots"], "features"),
        BinaryLinear("features", "raw", "probability", "prediction", np.array([1.0, 2.0, 3.0]), 0.0, 0.0),
    ]
    scorer = Scorer({nasty: "string"}, stages, "binary")
    assert scorer.score({nasty: nasty})[1] == pytest.approx(share(1.0))
    assert scorer.score({nasty: "\\"})[1] == pytest.approx(share(3.0))


def test_the_margin_of_a_row_is_worked_out_once() -> None:
    code = RowCode(FUNCTIONS)
    for name, kind in SCORER.columns.items():
        code.define(name, partial(code.assign, f"get({name!r})", kind, can_be_null=True))
    for stage in STAGES:
        stage.emit(code)
    code.slots("probability")
    code.scalar("prediction")
    assert sum("[" in line for line in code.lines) == 1  # the one look-up of a category's weight
