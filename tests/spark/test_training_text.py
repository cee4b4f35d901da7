"""Documents as numbers: what each stage makes of them, by hand, and what goes through to explanations."""

from math import log, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.linalg import SparseVector
from pyspark.sql import DataFrame, SparkSession

from demo.reviews import read_reviews
from lakeloop.core.config import Project
from lakeloop.core.errors import TrainingError
from lakeloop.training.features.scaling import ScalerBesideTerms
from lakeloop.training.features.serving import for_serving
from lakeloop.training.features.slots import slot_map
from lakeloop.training.features.stages import feature_stages
from lakeloop.training.interpretation.coefficients import coefficients
from lakeloop.training.interpretation.explaining import explain
from lakeloop.training.interpretation.importance import feature_importance
from lakeloop.training.spec.model import ModelSpec
from lakeloop.training.train import train

DECLARED: dict[str, Any] = {
    "model": "notes", "description": "Who complains", "owner": "tests", "table": "gold.notes", "key": "id",
    "label": {"column": "mood", "positive": "bad"}, "split": {"test": 0.25, "seed": 1},
    "folds": {"count": 2, "seed": 1}, "features": {"text": ["note"]},
    "candidates": [{"logistic_regression": {"regParam": [0.01], "standardization": [False]}}],
    "scores": "gold.note_scores",
}  # fmt: skip


def declared(candidates: list[dict[str, Any]] | None = None, **features: Any) -> ModelSpec:
    return ModelSpec.model_validate(
        DECLARED | {"features": features or {"text": ["note"]}} | ({"candidates": candidates} if candidates else {})
    )


def of_text(**keys: Any) -> ModelSpec:
    return declared(text={"note": {"min_documents": 1} | keys})


@pytest.fixture(scope="module")
def notes(spark: SparkSession) -> DataFrame:
    """Six notes: one is NULL, one empty, one without a word, and one stands twice."""
    return spark.createDataFrame(
        [
            (1, "The tea is good, the cup isn't.", 1.0, 0.0),
            (2, "Bad TEA; bad!", 2.0, 1.0),
            (3, None, 3.0, 1.0),
            (4, "", 4.0, 0.0),
            (5, "... --- ...", 6.0, 0.0),
            (6, "Bad TEA; bad!", 2.0, 1.0),
        ],
        "id int, note string, pages double, _label double",
    ).coalesce(1)


def fitted(spec: ModelSpec, rows: DataFrame) -> PipelineModel:
    return Pipeline(stages=feature_stages(spec, rows.schema)).fit(rows)


def vectors(spec: ModelSpec, rows: DataFrame, learn_from: DataFrame | None = None) -> list[list[float]]:
    made = fitted(spec, rows if learn_from is None else learn_from).transform(rows)
    return [row[0].toArray().tolist() for row in made.orderBy("id").select("features").collect()]


def names(spec: ModelSpec, rows: DataFrame) -> list[str]:
    return list(slot_map(spec, fitted(spec, rows)).names)


def test_words_are_counted_the_most_common_first_and_ties_by_their_letters(notes: DataFrame) -> None:
    spec = of_text(weight="count", words=5)
    # `tea` is in three notes and `bad` in two; all others in one, of which the first three by the alphabet are kept.
    assert names(spec, notes) == ["note = tea", "note = bad", "note = cup", "note = good", "note = is"]
    assert vectors(spec, notes) == [
        [1, 0, 1, 1, 1],
        [1, 2, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [1, 2, 0, 0, 0],
    ]
    assert vectors(of_text(weight="presence", words=2), notes)[1] == [1, 1]
    assert "note = isn't" in names(of_text(), notes)


def test_partitions_and_order_of_rows_do_not_change_the_vocabulary(notes: DataFrame) -> None:
    spec = of_text(words=4)
    assert names(spec, notes.repartition(5, "note").sortWithinPartitions("id", ascending=False)) == names(spec, notes)


def test_tf_idf_is_worked_out_by_hand_and_has_length_1(notes: DataFrame) -> None:
    tea, bad = log(7 / 4), log(7 / 3)  # six documents, three with tea and two with bad
    length = sqrt(tea**2 + (2 * bad) ** 2)
    found = vectors(of_text(words=2), notes)
    assert found[1] == pytest.approx([tea / length, 2 * bad / length])
    assert found[0] == pytest.approx([1, 0])
    assert found[2:5] == [[0, 0]] * 3


def test_sequences_of_words_follow_the_words_and_need_as_many_documents(notes: DataFrame) -> None:
    found = names(of_text(ngrams=2, min_documents=2), notes)
    assert found == ["note = tea", "note = bad", "note = bad tea", "note = tea bad"]
    assert vectors(of_text(ngrams=2, min_documents=2, weight="count"), notes)[1] == [1, 2, 1, 1]


@pytest.mark.parametrize(
    ("stop_words", "left"), [("english", ["bad", "cup", "good", "tea"]), (["The", "TEA"], ["bad", "cup", "good", "is"])]
)
def test_stop_words_of_a_language_or_a_list_are_left_out(notes: DataFrame, stop_words: Any, left: list[str]) -> None:
    found = sorted(name.removeprefix("note = ") for name in names(of_text(stop_words=stop_words), notes))
    assert [name for name in found if name != "isn't"] == left


def test_letters_of_any_script_and_marks_make_words(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(1, "Größe über हिन्दी l’été 3kg a_b", 1.0)], "id int, note string, _label double")
    found = {name.removeprefix("note = ") for name in names(of_text(), rows)}
    assert found == {"größe", "über", "हिन्दी", "l’été", "3kg", "a", "b"}


def test_new_documents_with_unknown_words_have_zeros(notes: DataFrame, spark: SparkSession) -> None:
    new = spark.createDataFrame([(1, "Unheard of tea"), (2, "Nothing known"), (3, None)], "id int, note string")
    assert vectors(of_text(weight="count", words=2), new, notes) == [[1, 0], [0, 0], [0, 0]]


def test_terms_keep_their_weight_beside_scaled_numbers_and_stay_sparse(notes: DataFrame) -> None:
    spec = declared(numeric=["pages"], text={"note": {"min_documents": 1, "weight": "count"}})
    stages = feature_stages(spec, notes.schema)
    assert isinstance(stages[-1], ScalerBesideTerms)
    rows = Pipeline(stages=stages).fit(notes).transform(notes).orderBy("id").select("features").collect()
    deviation = np.std([1, 2, 3, 4, 6, 2], ddof=1)
    assert rows[1][0].toArray()[:3] == pytest.approx([2 / deviation, 1, 2])
    assert isinstance(rows[2][0], SparseVector)
    robust = declared(numeric=["pages"], text={"note": {"min_documents": 1, "weight": "count"}}, scale="robust")
    assert vectors(robust, notes)[1][1:3] == [1, 2]


def test_a_selection_may_leave_terms_or_numbers_alone(notes: DataFrame) -> None:
    text = {"note": {"min_documents": 1, "weight": "count"}}
    words = declared(numeric=["pages"], text=text, select=[{"univariate": 1}])
    assert names(words, notes) == ["note = bad"]
    assert vectors(words, notes)[1] == [2]
    both = declared(numeric=["pages"], text=text, select=[{"variance": 0.7}])
    assert names(both, notes) == ["pages", "note = bad"]
    assert vectors(both, notes)[1] == pytest.approx([2 / np.std([1, 2, 3, 4, 6, 2], ddof=1), 2])


def test_embeddings_are_the_mean_of_word_vectors_and_have_slots_of_their_own(notes: DataFrame) -> None:
    spec = declared(
        text={"note": {"words": 0, "min_documents": 2, "embeddings": {"size": 3, "passes": 1}}}, scale="none"
    )
    assert names(spec, notes) == ["note embedding 1", "note embedding 2", "note embedding 3"]
    found = vectors(spec, notes)
    assert found[1] == found[5] != [0, 0, 0]
    assert found[2:5] == [[0, 0, 0]] * 3


def test_two_columns_of_documents_have_a_vocabulary_each(notes: DataFrame) -> None:
    rows = notes.selectExpr("*", "upper(reverse(note)) AS back")
    spec = declared(text={"note": {"words": 1}, "back": {"words": 1, "min_documents": 1, "weight": "count"}})
    with pytest.raises(TrainingError, match="text 'note'"):
        fitted(spec, rows)
    spec = declared(text={"note": {"words": 1, "min_documents": 1}, "back": {"words": 1, "min_documents": 1}})
    assert names(spec, rows) == ["note = tea", "back = aet"]
    assert slot_map(spec, fitted(spec, rows)).shares.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            {"min_documents": 7},
            "text 'note': no word stands in 7 documents in what is learned from; lower min_documents",
        ),
        ({"min_documents": 3, "ngrams": 2}, "no sequence of 2 words stands in 3 documents .* min_documents or ngrams"),
        ({"stop_words": ["tea", "bad"], "min_documents": 2}, "no word stands in 2 documents .* name fewer stop words"),
        ({"words": 0, "min_documents": 9, "embeddings": {}}, "no word stands 9 times in what is learned from"),
    ],
)
def test_documents_without_enough_words_are_named(notes: DataFrame, text: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        fitted(of_text(**text), notes)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("pages", "text 'pages' of gold.notes is double and not a string; declare it under numeric or categorical"),
        ("notes", "no column 'notes'; did you mean 'note'"),
    ],
)
def test_a_wrong_column_is_named(notes: DataFrame, column: str, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        feature_stages(declared(text=[column]), notes.schema)


@pytest.fixture(scope="module")
def letters(spark: SparkSession) -> DataFrame:
    """120 letters: who complains writes `late` or `broken`; every tenth letter is NULL, and `pages` tells nothing."""

    def letter(i: int) -> str | None:
        if i % 10 == 9:
            return None
        told = ("arrived late", "came broken")[i % 2] if i % 3 == 0 else ("arrived well", "came in time")[i % 2]
        return f"The parcel {told}, number {i % 7}"

    rows = [(f"l{i}", letter(i), i * 7 % 5, "bad" if i % 3 == 0 else "fine") for i in range(120)]
    return spark.createDataFrame(rows, "id string, note string, pages int, mood string")


CANDIDATES: list[dict[str, Any]] = [
    {"logistic_regression": {"regParam": [0.01], "standardization": [False]}},
    {"naive_bayes": {"modelType": ["multinomial", "complement"]}},
]


def test_a_model_of_text_is_trained_saved_loaded_and_explained(letters: DataFrame, tmp_path: Path) -> None:
    spec = declared(CANDIDATES, text={"note": {"ngrams": 2}})
    result = train(spec, letters, lambda done, total, text: None)
    assert len(result.candidates) == 3
    assert result.test.accuracy > 0.9  # two letters in three are no complaints
    assert result.importance == {"note": 1}
    result.model.write().save(str(tmp_path / "model"))
    loaded = PipelineModel.load(str(tmp_path / "model"))
    assert {type(stage).__module__.partition(".")[0] for stage in loaded.stages} == {"pyspark"}
    assert (
        loaded.transform(letters).select("id", "probability").collect()
        == result.model.transform(letters).select("id", "probability").collect()
    )
    told = [each.slot for each in coefficients(spec, result.model, letters)[:8]]
    assert {"note = late", "note = broken"} < set(told)
    labelled = letters.selectExpr("*", "double(mood = 'bad') AS _label")
    found = explain(spec, result.model, letters, labelled, lambda text: None, rows=3)
    assert [each.column for each in found.permuted] == ["note"]
    assert found.permuted[0].loss > 0.2
    assert found.dependence == ()
    assert [each.slot for each in found.coefficients[:8]] == [
        each.slot for each in coefficients(spec, result.model, labelled)[:8]
    ]


@pytest.mark.parametrize("kind", ["multinomial", "complement", "bernoulli"])
def test_naive_bayes_of_counts_is_linear_so_words_have_coefficients(letters: DataFrame, kind: str) -> None:
    weight = "presence" if kind == "bernoulli" else "count"
    spec = declared([{"naive_bayes": {"modelType": [kind]}}], text={"note": {"weight": weight}})
    rows = letters.selectExpr("*", "double(mood = 'bad') AS _label")
    (point,) = spec.points()
    model = Pipeline(stages=[*feature_stages(spec, rows.schema), point.estimator(1)]).fit(rows)
    found = dict(coefficients(spec, model, rows))
    assert min(found["note = late"], found["note = broken"]) > max(found["note = well"], found["note = time"])
    assert feature_importance(spec, model, rows) == {"note": 1}
    # Between two letters that differ in one word, the log odds differ by the coefficients of the words.
    two = rows.sparkSession.createDataFrame([(1, "parcel late"), (2, "parcel well")], "id int, note string")
    said = [row[0] for row in model.transform(two).orderBy("id").select("probability").collect()]
    odds = [log(p[1] / p[0]) for p in said]
    assert odds[0] - odds[1] == pytest.approx(found["note = late"] - found["note = well"])


def test_what_is_saved_knows_no_stage_of_lakeloop(letters: DataFrame) -> None:
    spec = declared(numeric=["pages"], text={"note": {"embeddings": {"size": 2}}}, select=[{"variance": 0}])
    rows = letters.selectExpr("*", "double(mood = 'bad') AS _label")
    for stage in for_serving(Pipeline(stages=feature_stages(spec, rows.schema)).fit(rows)).stages:
        assert type(stage).__module__.startswith("pyspark."), stage


def test_the_importance_of_terms_needs_rows_to_measure_them(letters: DataFrame) -> None:
    spec = declared()
    rows = letters.selectExpr("*", "double(mood = 'bad') AS _label")
    (point,) = spec.points()
    model = Pipeline(stages=[*feature_stages(spec, rows.schema), point.estimator(1)]).fit(rows)
    with pytest.raises(TrainingError, match="coefficients of terms do not compare by themselves; give rows"):
        feature_importance(spec, model)


@pytest.mark.slow
def test_the_shipped_model_beats_the_majority_of_real_reviews_by_five_points(spark: SparkSession) -> None:
    shipped = Project(Path(__file__).parents[2] / "conf").document("models", "reviews").parse(ModelSpec)
    of_champion = {"logistic_regression": {"regParam": [0.0003], "standardization": [False]}}
    changed = {"candidates": [of_champion], "folds": shipped.folds.model_dump() | {"count": 2}}
    spec = ModelSpec.model_validate(shipped.model_dump(mode="json") | changed)
    reviews = [(row["review_id"], row["review"], row["score"]) for row in read_reviews()]
    table = spark.createDataFrame(reviews, "review_id string, review string, score string")
    rows = table.selectExpr("review_id", "score", "regexp_replace(review, '<[^>]*>', ' ') AS review").selectExpr(
        "*", "lower(regexp_replace(review, '[^a-zA-Z0-9]+', ' ')) AS fingerprint"
    )
    test = train(spec, rows, lambda done, total, text: None).test
    majority = max(test.positives, test.rows - test.positives) / test.rows
    assert majority == pytest.approx(0.652, abs=0.01)
    assert test.intervals["accuracy"][0] > majority + 0.05
    assert test.intervals["area_under_roc"][0] > 0.8
