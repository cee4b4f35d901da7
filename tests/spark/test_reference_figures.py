import pytest
from pyspark.sql import SparkSession

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
