from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from lakeloop.training.features.parts import Part, filled_numbers, parts_of, terms_cols
from lakeloop.training.spec import text as text_spec
from lakeloop.training.spec.features import Features


def declared(**keys: Any) -> Features:
    base = {"numeric": ["age", "visits"], "categorical": ["city", "plan"]}
    return Features.model_validate(base | keys)


def test_nothing_said_is_what_it_was() -> None:
    features = declared()
    assert (features.impute, features.scale, features.select, features.encode) == ("median", "standard", (), {})
    assert features.columns == ("age", "visits", "city", "plan")
    assert [part.col for part in parts_of(features)] == ["age__filled", "visits__filled", "city__slots", "plan__slots"]
    assert filled_numbers(features) == ("age", "visits")


def test_parts_say_what_they_are_made_of() -> None:
    features = declared(
        encode={"city": "target"},
        buckets={"age": [18, 65], "visits": 4},
        interactions=[["age", "visits"]],
        dates={"joined": ["month", "age_days"]},
        age_at="seen",
    )
    assert features.columns == ("age", "visits", "city", "plan", "joined", "seen")
    assert parts_of(features) == (
        Part("age__slots", ("age",)),
        Part("visits__slots", ("visits",)),
        Part("city__encoded", ("city",)),
        Part("plan__slots", ("plan",)),
        Part("age__times__visits", ("age", "visits")),
        Part("joined__month_sine", ("joined",)),
        Part("joined__month_cosine", ("joined",)),
        Part("joined__age_days__filled", ("joined", "seen")),
    )
    assert filled_numbers(features) == ("age", "visits", "joined__age_days")  # a product needs what buckets do not


def test_text_in_a_list_has_what_is_usual() -> None:
    (text,) = declared(text=["note"]).texts.values()
    assert (text.words, text.ngrams, text.min_documents, text.stop_words) == (2000, 1, 5, "none")
    assert (text.weight, text.embeddings, text.engine) == ("tf_idf", None, "spark")


def test_text_comes_last_with_terms_before_embeddings() -> None:
    features = declared(text={"note": {"embeddings": {}}, "title": {"words": 0, "embeddings": {"size": 5}}})
    assert features.columns == ("age", "visits", "city", "plan", "note", "title")
    assert [part.col for part in parts_of(features)[4:]] == ["note__terms", "note__embedding", "title__embedding"]
    assert terms_cols(features) == ("note__terms",)
    assert not features.are_counts
    assert declared(numeric=[], categorical=[], text=["note"]).are_counts
    assert not declared(numeric=[], categorical=[], text={"note": {"embeddings": {}}}).are_counts


def test_spark_nlp_is_asked_for_by_name_and_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_spec, "find_spec", lambda name: None)
    with pytest.raises(ValidationError, match=r"Spark NLP is not installed; .* pip install 'lakeloop\[nlp\]'"):
        declared(text={"note": {"engine": "spark_nlp"}})
    monkeypatch.setattr(text_spec, "find_spec", lambda name: name)
    assert declared(text={"note": {"engine": "spark_nlp", "sentiment": True}}).needs_spark_nlp
    assert not declared(text=["note"]).needs_spark_nlp


def test_dates_in_a_list_have_year_month_and_day_of_the_week() -> None:
    assert declared(dates=["joined"]).date_parts == {"joined": ("year", "month", "day_of_week")}
    assert declared(dates={"joined": ["hour"]}).date_parts == {"joined": ("hour",)}


@pytest.mark.parametrize(
    ("given", "found"), [("2024-03-01", date(2024, 3, 1)), (date(2024, 3, 1), date(2024, 3, 1)), ("seen", "seen")]
)
def test_ages_are_counted_to_a_date_or_a_column(given: Any, found: Any) -> None:
    assert declared(dates={"joined": ["age_days"]}, age_at=given).age_at == found


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"categorical": ["city", "age"]}, "features stand twice: age"),
        ({"dates": ["joined", "joined"]}, "features stand twice: joined"),
        ({"dates": ["city"]}, "features stand twice: city"),
        ({"encode": {"age": "target"}}, "encode names 'age', which is not under categorical; Allowed: city, plan"),
        ({"encode": {"plans": "target"}}, "encode names 'plans', which is not under categorical; did you mean 'plan'"),
        ({"encode": {"plan": "ordinal"}}, "Input should be 'target' or 'frequency'"),
        ({"buckets": {"city": 3}}, "buckets names 'city', which is not under numeric"),
        ({"buckets": {"age": 1}}, "greater than or equal to 2"),
        ({"buckets": {"age": [30, 18]}}, "limits of buckets.age must ascend, found 30.0, 18.0"),
        ({"buckets": {"age": []}}, "at least 1 item"),
        ({"interactions": [["age", "city"]]}, "interactions names 'city', which is not under numeric"),
        ({"interactions": [["age"]]}, "at least 2 items"),
        ({"interactions": [["age", "visits"], ["visits", "age"]]}, "interactions stand twice: age × visits"),
        ({"dates": {"joined": ["age_days"]}}, "age_days needs age_at: a column, such as the day of the snapshot"),
        ({"dates": ["joined"], "age_at": "seen"}, "age_at is said but no date has age_days"),
        ({"dates": {"joined": ["year", "year"]}}, "parts of dates stand twice: joined: year"),
        ({"dates": {"joined": ["week"]}}, "Input should be 'year', 'month'"),
        ({"pca": {}}, "pca says exactly one of components, variance"),
        ({"pca": {"components": 2, "variance": 0.9}}, "pca says exactly one of components, variance"),
        ({"pca": {"variance": 95}}, "less than 1"),
        ({"select": [{}]}, "a selection says exactly one of variance, univariate, correlation, l1, importance"),
        ({"select": [{"variance": 0.1, "l1": 0.1}]}, "found variance, l1"),
        ({"select": [{"univariate": {"fpr": 0.1, "fwe": 0.1}}]}, "univariate says exactly one of .*found fpr, fwe"),
        ({"select": [{"univariat": 3}]}, "unknown key 'univariat'; did you mean 'univariate'"),
        ({"scale": "minmax"}, "Input should be 'standard', 'robust', 'min_max' or 'none'"),
        ({"text": ["city"]}, "features stand twice: city"),
        ({"text": {"note": {"word": 5}}}, "unknown key 'word'; did you mean 'words'"),
        ({"text": {"note": {"stop_words": "englisch"}}}, "no stop words of 'englisch'; did you mean 'english'"),
        ({"text": {"note": {"weight": "tfidf"}}}, "Input should be 'tf_idf', 'count' or 'presence'"),
        ({"text": {"note": {"ngrams": 0}}}, "greater than or equal to 1"),
        ({"text": {"note": {"words": 0}}}, "words: 0 leaves nothing of the text"),
        ({"text": {"note": {"sentiment": True, "lemmas": "l.txt"}}}, "lemmas, sentiment needs engine: spark_nlp"),
        ({"text": {"note": {"engine": "nltk"}}}, "Input should be 'spark' or 'spark_nlp'"),
        ({"text": ["note"], "scale": "min_max"}, "scale: min_max would store a number for every term"),
    ],
)
def test_what_cannot_be_meant_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        declared(**keys)


def test_a_variance_of_zero_is_a_selection() -> None:
    features = declared(select=[{"variance": 0}, {"univariate": {"fdr": 0.05}}, {"importance": 3}])
    assert [selection.way for selection in features.select] == ["variance", "univariate", "importance"]
