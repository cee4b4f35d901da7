from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs import validate_reference
from lakeloop.core.errors import TrainingError
from lakeloop.training.reference_figures import Compared, compare_binary, compare_imbalanced


def test_the_classifier_gives_the_published_figures(spark: SparkSession) -> None:
    found = {each.figure: each for each in compare_binary(spark)}
    assert {name: round(each.mllib, 4) for name, each in found.items()} == {
        "accuracy": 0.83,
        "precision": 0.8667,
        "recall": 0.8198,
        "F1": 0.8426,
    }
    assert all(each.holds for each in found.values())
    for each in found.values():
        assert each.mllib == pytest.approx(each.scikit_learn, abs=1e-9)


def test_the_stratified_folds_give_the_published_mean(spark: SparkSession) -> None:
    *folds, mean = compare_imbalanced(spark)
    assert round(mean.mllib, 3) == 0.929
    assert mean.holds
    assert len(folds) == 5
    for fold in folds:
        assert fold.mllib == pytest.approx(fold.scikit_learn, abs=1e-9)


def test_a_figure_holds_to_the_decimals_that_were_published() -> None:
    assert Compared("accuracy", 0.929, 0.9, 0.92949).holds
    assert not Compared("accuracy", 0.929, 0.929, 0.9296).holds
    assert not Compared("fold 1", None, 0.9, 0.9001).holds


def test_the_job_prints_the_figures_and_fails_by_name_where_one_differs(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAKELOOP_LAKE", str(tmp_path))
    found = [Compared("accuracy", 0.83, 0.83, 0.83), Compared("recall", 0.8198, 0.8198, 0.8108)]
    monkeypatch.setattr(validate_reference, "compare_binary", lambda _: found)
    monkeypatch.setattr(validate_reference, "compare_imbalanced", lambda _: found[:1])
    arguments = ["--conf-dir", str(Path(__file__).parents[2] / "conf")]
    with pytest.raises(TrainingError, match=r"differs from the published figures: recall$"):
        validate_reference.main(arguments)
    assert "recall                        0.8198        0.8198    0.8108" in capsys.readouterr().out
    found.pop()
    validate_reference.main(arguments)
    assert capsys.readouterr().out.endswith("All 2 figures hold.\n")
