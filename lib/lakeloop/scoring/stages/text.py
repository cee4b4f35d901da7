"""Stages from documents to counts of terms: tokens, stop words, n-grams, counts, and how rare a term is.

NULL is refused by Spark's tokenizer, so a pipeline fills it before.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakeloop.scoring.columns import Columns, Floats
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

    def tokens(self, text: str) -> Tokens:
        """The tokens of one document."""
        if self.lower:
            text = text.lower()
        if self.gaps:
            pieces = pc.split_pattern_regex(pa.array([text]), self.pattern)[0].as_py()
            if pieces == [text]:
                found = [text]
            else:
                while pieces and not pieces[-1]:  # as Java's split
                    pieces.pop()
                found = pieces
        else:
            found = _matches(self.pattern, text)
        return [token for token in found if len(token) >= self.least_length]

    def define(self, columns: Columns) -> None:
        columns.define(self.output, lambda: [self.tokens(text) for text in columns[self.input].to_pylist()])

    def emit(self, code: RowCode) -> None:
        code.define(
            self.output,
            lambda: code.assign(f"{code.constant(self.tokens)}({code.scalar(self.input).text})", "tokens"),
        )


def _matches(pattern: str, text: str) -> Tokens:
    """Every match: the pieces between what is replaced by none of them are what was matched."""
    found, rest = [], text
    while match := pc.extract_regex(pa.array([rest]), f"(?s)(?P<before>.*?)(?P<token>{pattern})(?P<after>.*)")[
        0
    ].as_py():
        if match["token"]:
            found.append(match["token"])
        elif not match["after"]:
            break
        rest = match["after"] if match["token"] else match["after"][1:]
    return found


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
