"""Documents to counts, of many rows and of one."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lakeloop.scoring.columns import Columns
from lakeloop.scoring.row_code import RowCode
from lakeloop.scoring.row_functions import FUNCTIONS
from lakeloop.scoring.stages.text import CountTerms, DropStopWords, Grams, MeanVector, Tokenize
from lakeloop.scoring.stages.vectors import Assemble, Normalize, Scale

WORD = r"[\p{L}\p{N}]+(?:['’][\p{L}\p{N}]+)*"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't stop, été!", ["don't", "stop", "été"]),
        ("", []),
        ("  ", []),
        ("''a''b'c", ["a", "b'c"]),
        ("\ue000odd\ue000 marks", ["odd", "marks"]),
        ("日本 2024", ["日本", "2024"]),
    ],
)
def test_matches_are_tokens(text: str, tokens: list[str]) -> None:
    assert Tokenize("t", "w", WORD, gaps=False, least_length=1, lower=True).tokens([text]) == [tokens]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("a b", ["a", "b"]), (" a  b ", ["", "a", "", "b"]), ("", [""]), ("   ", []), ("A\tb\n", ["a", "b"])],
)
def test_pieces_are_those_of_java(text: str, tokens: list[str]) -> None:
    """What `"…".toLowerCase.split("\\s")` gives in Scala."""
    assert Tokenize("t", "w", r"\s", gaps=True, least_length=0, lower=True).tokens([text]) == [tokens]


STAGES = [
    Tokenize("text", "tokens", WORD, gaps=False, least_length=1, lower=True),
    DropStopWords("tokens", "words", ["the"], exact=True),
    Grams("words", "pairs", 2),
    CountTerms("words", "counts", ["good", "tea", "bad"], 1.0, binary=False),
    CountTerms("pairs", "pair_counts", ["good tea"], 1.0, binary=True),
    Assemble(["counts", "pair_counts"], "both"),
    Scale("both", "weighted", np.zeros(4), np.array([2.0, 1.0, 3.0, 0.5])),
    Normalize("weighted", "features", 2.0),
    MeanVector("words", "mean", ["good", "tea"], np.array([[1.0, 2.0], [3.0, 4.0]])),
]
# By hand: good good tea has counts 2, 1 and the pair once: weights 4, 1, 0, 0.5 of length √17.25.
DOCUMENTS = [
    ("Good the GOOD tea", np.array([4, 1, 0, 0.5]) / np.sqrt(17.25), [(1 + 1 + 3) / 3, (2 + 2 + 4) / 3]),
    ("bad", [0, 0, 1, 0], [0, 0]),
    ("unseen words", [0, 0, 0, 0], [0, 0]),
    ("", [0, 0, 0, 0], [0, 0]),
]


def test_many_documents_are_counted_weighted_and_averaged() -> None:
    columns = Columns(len(DOCUMENTS), {"text": pa.array([text for text, _, _ in DOCUMENTS])})
    for stage in STAGES:
        stage.define(columns)
    assert columns.vectors("features").array() == pytest.approx(np.array([list(slots) for _, slots, _ in DOCUMENTS]))
    assert columns["mean"] == pytest.approx(np.array([mean for _, _, mean in DOCUMENTS]))


@pytest.mark.parametrize(("text", "slots", "mean"), DOCUMENTS)
def test_one_document_is_too(text: str, slots: Any, mean: Any) -> None:
    code = RowCode(FUNCTIONS)
    code.define("text", lambda: code.assign("get('text')", "string"))
    for stage in STAGES:
        stage.emit(code)
    weights = [1.0, 10.0, 100.0, 1000.0]
    listed = ", ".join(slot.text() for slot in [*code.slots("features"), *code.slots("mean")])
    summed = code.assign(code.dot("features", weights, 0.5)).text
    *found, total = code.function(f"({listed}, {summed})")({"text": text})
    assert found == pytest.approx([*slots, *mean])
    assert total == pytest.approx(float(np.dot(list(slots), weights)) + 0.5)
