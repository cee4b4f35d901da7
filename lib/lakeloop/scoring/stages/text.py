"""Stages from documents to counts of terms: tokens, stop words, n-grams, counts, and how rare a term is.

NULL is refused by Spark's tokenizer, so a pipeline fills it before.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.scoring.blocks import Floats
from lakeloop.scoring.columns import Columns
from lakeloop.scoring.row_code import RowCode
from lakeloop.scoring.slots import Slot

Array = np.ndarray[Any, np.dtype[np.float64]]
Tokens = list[str]


@dataclass(frozen=True)
class Tokenize:
    """Spark's Tokenizer and RegexTokenizer: what lies between matches of `pattern`, or where not `gaps` the matches.

    Patterns run in RE2, which has Java's syntax but for look-around and back references.
    """

    input: str
    output: str
    pattern: str
    gaps: bool
    least_length: int
    lower: bool

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of documents."""
        given = pa.array([text.lower() for text in texts] if self.lower else list(texts), pa.string())
        found = _between(given, self.pattern) if self.gaps else _matches(given, self.pattern)
        return [[token for token in tokens if len(token) >= self.least_length] for tokens in found]

    def define(self, columns: Columns) -> None:
        columns.define(self.output, lambda: self.tokens(columns[self.input].to_pylist()))

    def emit(self, code: RowCode) -> None:
        code.define(
            self.output,
            lambda: code.assign(f"{code.constant(self.tokens)}([{code.scalar(self.input).text}])[0]", "tokens"),
        )


def _between(texts: pa.Array, pattern: str) -> Iterator[Tokens]:
    """What lies between matches, as Java's split gives it: without empty pieces at the end."""
    for text, pieces in zip(texts, pc.split_pattern_regex(texts, pattern).to_pylist(), strict=True):
        while pieces and not pieces[-1] and pieces != [text.as_py()]:
            pieces.pop()
        yield pieces


def _matches(texts: pa.Array, pattern: str) -> Iterator[Tokens]:
    """The matches: what stands between marks that are put around each, the marks being in no text."""
    mark = next(chr(code) for code in range(0xE000, 0xF8FF) if not pc.any(pc.match_substring(texts, chr(code))).as_py())
    for marked in pc.replace_substring_regex(texts, f"({pattern})", rf"{mark}\1{mark}").to_pylist():
        yield [token for token in marked.split(mark)[1::2] if token]


@dataclass(frozen=True)
class DropStopWords:
    """Spark's StopWordsRemover; words are compared in lower case unless `exact`."""

    input: str
    output: str
    words: list[str]
    exact: bool

    def define(self, columns: Columns) -> None:
        columns.define(self.output, lambda: [*map(self._keeper(), columns[self.input])])

    def emit(self, code: RowCode) -> None:
        kept = code.constant(self._keeper())
        code.define(self.output, lambda: code.assign(f"{kept}({code.scalar(self.input).text})", "tokens"))

    def _keeper(self) -> Callable[[Tokens], Tokens]:
        if self.exact:
            as_they_are = frozenset(self.words)
            return lambda tokens: [token for token in tokens if token not in as_they_are]
        lower = frozenset(word.lower() for word in self.words)
        return lambda tokens: [token for token in tokens if token.lower() not in lower]


@dataclass(frozen=True)
class Grams:
    """Spark's NGram: `n` tokens in a row, with a blank between; of fewer tokens there are none."""

    input: str
    output: str
    n: int

    def grams(self, tokens: Tokens) -> Tokens:
        """The n-grams of a document."""
        return [" ".join(tokens[at : at + self.n]) for at in range(len(tokens) - self.n + 1)]

    def define(self, columns: Columns) -> None:
        columns.define(self.output, lambda: [self.grams(tokens) for tokens in columns[self.input]])

    def emit(self, code: RowCode) -> None:
        code.define(
            self.output,
            lambda: code.assign(f"{code.constant(self.grams)}({code.scalar(self.input).text})", "tokens"),
        )


@dataclass(frozen=True)
class CountTerms:
    """Spark's CountVectorizerModel: how often each term of `vocabulary` occurs, 1 at most where `binary`.

    A term that occurs less often than `least`, or below 1 in a smaller share of the tokens, counts as absent.
    """

    input: str
    output: str
    vocabulary: list[str]
    least: float
    binary: bool

    @property
    def width(self) -> int:
        """How many numbers it makes of a row."""
        return len(self.vocabulary)

    def counts(self, tokens: Sequence[str], places: dict[str, int]) -> dict[int, float]:
        """The counts of a document by place; places are those of the vocabulary."""
        least = self.least if self.least >= 1 else self.least * len(tokens)
        found = Counter(places[token] for token in tokens if token in places)
        return {place: 1.0 if self.binary else float(count) for place, count in found.items() if count >= least}

    def define(self, columns: Columns) -> None:
        def counted() -> Floats:
            documents, places = columns[self.input], self._places()
            slots = np.zeros((len(documents), len(self.vocabulary)))
            for row, tokens in enumerate(documents):
                for place, count in self.counts(tokens, places).items():
                    slots[row, place] = count
            return slots

        columns.define(self.output, counted)

    def emit(self, code: RowCode) -> None:
        places = self._places()

        def counted() -> list[Slot]:
            count = code.constant(lambda tokens: self.counts(tokens, places))
            found = code.assign(f"{count}({code.scalar(self.input).text})", "counts").text
            return [Slot("count", found, place) for place in range(len(self.vocabulary))]

        code.define(self.output, counted)

    def _places(self) -> dict[str, int]:
        return {term: place for place, term in enumerate(self.vocabulary)}


@dataclass(frozen=True)
class MeanVector:
    """Spark's Word2VecModel: the sum of the vectors of the words that have one, over the number of all words.

    `vectors`, shape (words, size), in the order of `words`.
    """

    input: str
    output: str
    words: list[str]
    vectors: Array

    def define(self, columns: Columns) -> None:
        mean = self._mean()
        columns.define(
            self.output, lambda: np.array([mean(tokens) for tokens in columns[self.input]]).reshape(-1, self._size)
        )

    @property
    def _size(self) -> int:
        return int(self.vectors.shape[1])

    def _mean(self) -> Callable[[Tokens], Floats]:
        places = {word: place for place, word in enumerate(self.words)}

        def mean(tokens: Tokens) -> Floats:
            known = [places[token] for token in tokens if token in places]
            found: Floats = self.vectors[known].sum(axis=0) / max(len(tokens), 1)
            return found

        return mean

    def emit(self, code: RowCode) -> None:
        mean = self._mean()

        def slots() -> list[Slot]:
            call = code.constant(lambda tokens: mean(tokens).tolist())
            found = code.assign(f"{call}({code.scalar(self.input).text})", "list").text
            return [Slot("number", code.assign(f"{found}[{at}]").text) for at in range(self._size)]

        code.define(self.output, slots)
