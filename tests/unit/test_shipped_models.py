"""The models under `conf/`: each looks at columns that the pipelines write, and is validated as its task needs."""

from pathlib import Path

import pytest

from lakeloop.catalog import load_catalog
from lakeloop.core.config import Project
from lakeloop.training.spec.model import ModelSpec

PROJECT = Project(Path(__file__).parents[2] / "conf")


def shipped(name: str) -> ModelSpec:
    return PROJECT.document("models", name).parse(ModelSpec)


@pytest.mark.parametrize("name", PROJECT.names("models"))
def test_its_columns_are_those_of_the_table(name: str) -> None:
    spec = shipped(name)
    columns = {column.name for column in load_catalog(PROJECT).data_set(spec.table).columns}
    assert {spec.key, spec.label.column, *spec.features.columns} <= columns
    assert spec.model == name


def test_the_price_of_houses_is_cross_validated_on_five_random_folds() -> None:
    spec = shipped("housing")
    assert (spec.task, spec.folds.count, spec.select_by) == ("regression", 5, "r2")
    assert not spec.stratifies(spec.folds)
    assert {"linear_regression", "random_forest", "boosted_forests"} == {point.algorithm for point in spec.points()}
    assert {point.learn for point in spec.points()} == {None, "log"}


def test_a_rare_class_keeps_its_share_and_is_not_chosen_by_accuracy() -> None:
    spec = shipped("bad_loans")
    assert spec.stratifies(spec.split)
    assert spec.stratifies(spec.folds)
    assert (spec.label.positive, spec.select_by) == ("bad", "area_under_pr")


def test_reviews_of_the_same_words_are_held_out_together() -> None:
    spec = shipped("reviews")
    assert (spec.split.kind, spec.folds.kind) == ("group", "group")
    assert spec.split.by == spec.folds.by == "fingerprint"
    assert "fingerprint" not in spec.features.columns
    assert not spec.features.needs_spark_nlp
