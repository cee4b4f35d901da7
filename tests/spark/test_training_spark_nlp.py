"""Text by Spark NLP: base forms, sentiment, word vectors, in a session that has its jars, and what is said without."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakeloop.core import spark_nlp
from lakeloop.core.errors import TrainingError
from lakeloop.core.spark_nlp import require_spark_nlp

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 600  # of which a first run spends most on fetching the jars
needs_the_extra = pytest.mark.skipif(
    find_spec("sparknlp") is None, reason="Spark NLP is not installed: pip install 'lakeloop[nlp]'"
)


def test_a_session_without_its_jars_is_told_the_settings(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_nlp, "find_spec", lambda name: None)
    with pytest.raises(TrainingError, match=r"Spark NLP is not installed; .* pip install 'lakeloop\[nlp\]'"):
        require_spark_nlp(spark)
    monkeypatch.setattr(spark_nlp, "find_spec", lambda name: name)
    with pytest.raises(
        TrainingError, match=r"without the jars .*spark\.jars\.packages=com\.johnsnowlabs\.nlp:spark-nlp"
    ):
        require_spark_nlp(spark)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `spark_nlp_process.py` found out."""
    folder = tmp_path_factory.mktemp("nlp")
    command = [sys.executable, str(Path(__file__).with_name("spark_nlp_process.py")), str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, timeout=LIMIT_SECONDS, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'lib'}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads((folder / "told.json").read_text())
    return found


@needs_the_extra
@pytest.mark.slow
def test_words_have_base_forms(told: dict[str, Any]) -> None:
    assert told["lemmas"] == ["mouse", "run"]
    assert told["counts"] == [[1, 1], [1, 2], [0, 0], [0, 0]]
    assert {"mice", "run", "mous"} < set(told["stems"])
    assert set(told["stems"]) - set(told["without stop words"]) >= {"the", "were", "it"}


@needs_the_extra
@pytest.mark.slow
def test_embeddings_are_means_and_0_where_there_is_no_word(told: dict[str, Any]) -> None:
    found = told["embeddings"]
    assert [len(vector) for vector in found] == [3] * 4
    assert all(any(vector) for vector in found[:2])
    assert found[2:] == [[0, 0, 0]] * 2


@needs_the_extra
@pytest.mark.slow
def test_sentiment_is_learned_from_the_label_but_never_from_a_rows_own(told: dict[str, Any]) -> None:
    new, learned = told["sentiment of new rows"], told["sentiment of learned rows"]
    bad = [f"l{i:02d}" for i in range(60) if i % 3 == 0 and i % 10 != 9]
    fine = [f"l{i:02d}" for i in range(60) if i % 3 and i % 10 != 9]
    for found in (new, learned):
        assert all(-1 <= value <= 1 for value in found.values())
        assert min(found[name] for name in bad) > max(found[name] for name in fine)
    assert learned["l00"] == told["sentiment, first label turned"]


@needs_the_extra
@pytest.mark.slow
def test_what_is_saved_answers_alike_when_it_is_loaded(told: dict[str, Any]) -> None:
    assert told["accuracy"] > 0.8
    assert told["loaded answers alike"]
    assert told["modules"] == ["pyspark", "sparknlp"]


@needs_the_extra
@pytest.mark.slow
def test_a_wrong_dictionary_and_too_few_words_are_named(told: dict[str, Any]) -> None:
    assert "none.txt is not a file in" in told["no lemmas"]
    assert "line 2: found `run, runs`, expected `go -> goes went gone`" in told["wrong lemmas"]
    assert "text 'letter': no word stands 9 times" in told["too few words"]
