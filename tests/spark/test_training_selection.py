from typing import Any

import numpy as np
import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.feature import PCAModel, VectorAssembler, VectorSlicer
from pyspark.sql import DataFrame, SparkSession
from sklearn import decomposition
from sklearn.feature_selection import f_classif, f_regression

from lakeloop.core.errors import TrainingError
from lakeloop.training.features.components import ExplainingPca
from lakeloop.training.features.scaling import scaler
from lakeloop.training.features.selection import SlotSelector
from lakeloop.training.spec.selection import Selection

SLOTS = ("decides", "twice", "still", "noise", "rare")


def made() -> np.ndarray[Any, Any]:
    """Forty rows: `decides` tells the label, `twice` is twice it, `still` never changes, `rare` is 1 in four rows."""
    i = np.arange(40)
    decides = (i * 7 % 40).astype(float)
    return np.stack([decides, 2 * decides, np.full(40, 3.0), i * 13 % 11 / 10, (i % 10 == 3) * 1.0], axis=1)


LABEL = (made()[:, 0] + 12 * made()[:, 3] > 24).astype(float)


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    given = [(*row, label, 3 * row[0] - row[3]) for row, label in zip(made().tolist(), LABEL.tolist(), strict=True)]
    named = ", ".join(f"{name} double" for name in (*SLOTS, "_label", "number"))
    frame = spark.createDataFrame(given, named).coalesce(1)
    return VectorAssembler(inputCols=list(SLOTS), outputCol="slots").transform(frame).cache()


def kept(rows: DataFrame, label_col: str = "_label", **selection: Any) -> list[str]:
    task = "binary" if label_col == "_label" else "regression"
    selector = SlotSelector(
        Selection.model_validate(selection), task, 1, input_col="slots", output_col="kept", label_col=label_col
    )
    model = selector.fit(rows)
    assert isinstance(model, VectorSlicer)
    assert model.transform(rows).head().kept.size == len(model.getIndices())
    return [SLOTS[slot] for slot in model.getIndices()]


def test_a_variance_above_the_limit_is_kept(rows: DataFrame) -> None:
    assert kept(rows, variance=0) == ["decides", "twice", "noise", "rare"]
    # Sample variances: noise about 0.1, rare 0.1 * 0.9 * 40 / 39 = 0.092.
    assert kept(rows, variance=0.0925) == ["decides", "twice", "noise"]


def test_of_two_that_are_correlated_the_later_one_goes(rows: DataFrame) -> None:
    assert kept(rows, correlation=0.95) == ["decides", "still", "noise", "rare"]


def test_an_f_test_keeps_what_tells_most_alone(rows: DataFrame) -> None:
    varied = [0, 1, 3, 4]
    for label_col, test, label in (
        ("_label", f_classif, LABEL),
        ("number", f_regression, 3 * made()[:, 0] - made()[:, 3]),
    ):
        _, p = test(made()[:, varied], label)
        best = sorted(np.array(varied)[np.argsort(p, kind="stable")[:2]])
        assert kept(rows, label_col, univariate=2) == [SLOTS[slot] for slot in best] == ["decides", "twice"]
        assert set(kept(rows, label_col, univariate={"percentile": 0.3})) == {"decides", "twice"}
        below = [SLOTS[slot] for slot, value in zip(varied, p, strict=True) if value < 0.05]
        assert kept(rows, label_col, univariate={"fpr": 0.05}) == below


def test_l1_keeps_what_has_a_coefficient(rows: DataFrame) -> None:
    for label_col, strength in (("_label", 0.1), ("number", 1.0)):
        found = kept(rows, label_col, l1=strength)
        assert {"decides", "twice"} & set(found)
        assert not {"still", "rare"} & set(found)


def test_a_forest_keeps_the_best_of_those_that_it_uses(rows: DataFrame) -> None:
    found = kept(rows, importance=2)
    assert len(found) == 2
    assert set(found) <= {"decides", "twice", "noise"}
    assert "still" not in kept(rows, "number", importance=5)


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"variance": 1e9}, "variance 1000000000.0 leaves no slot"),
        ({"l1": 1e6}, "l1 1000000.0 leaves no slot of the feature vector; loosen it or take it out"),
        ({"univariate": {"fwe": 1e-300}}, "univariate fwe leaves no slot"),
    ],
)
def test_a_selection_that_leaves_nothing_is_refused(rows: DataFrame, selection: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=f"features.select: {message}"):
        kept(rows, **selection)


def test_the_fewest_components_that_explain_the_share_are_kept(rows: DataFrame) -> None:
    ratios = np.cumsum(decomposition.PCA().fit(made()).explained_variance_ratio_)
    for share, expected in ((float(ratios[0]), 1), (float(ratios[:2].mean()), 2)):
        model = ExplainingPca(share, "slots", "reduced").fit(rows)
        assert isinstance(model, PipelineModel)
        assert [type(stage) for stage in model.stages] == [PCAModel, VectorSlicer]
        assert model.transform(rows).head().reduced.size == expected


def scaled(rows: DataFrame, scale: Any) -> np.ndarray[Any, Any]:
    fitted = scaler(scale, "slots", "scaled").fit(rows)
    assert type(fitted).__module__ == "pyspark.ml.feature"
    return np.array([row[0].toArray() for row in fitted.transform(rows).select("scaled").collect()])


def test_robust_divides_by_the_quartiles_or_where_they_are_one_by_the_deviation(rows: DataFrame) -> None:
    found, given = scaled(rows, "robust"), made()
    spread = given[:, [0, 1, 3]] / found[:, [0, 1, 3]].clip(1e-9)
    assert np.nanmax(np.where(found[:, [0, 1, 3]] > 0, spread, np.nan), axis=0) == pytest.approx([20, 40, 0.6])
    assert found[:, 4] == pytest.approx(given[:, 4] / given[:, 4].std(ddof=1))  # its quartiles are both 0
    assert not found[:, 2].any()


def test_min_max_is_from_0_to_1(rows: DataFrame) -> None:
    found, given = scaled(rows, "min_max"), made()
    assert found[:, [0, 1, 3, 4]] == pytest.approx((given / given.max(axis=0))[:, [0, 1, 3, 4]])
