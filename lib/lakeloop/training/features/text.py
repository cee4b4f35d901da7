"""The documents of a column as numbers: words and sequences of words counted and weighted, by Spark's own stages.

A word is a run of letters, marks and digits, with apostrophes inside it, in lower case; whatever else stands between
words parts them, so a language that does not part words by blanks has long ones. A document that is NULL, empty or
without a known word has only zeros. A column has slots for terms, then for embeddings, then for its sentiment.
"""

from collections.abc import Iterator
from typing import Any

from pyspark.ml import Estimator, Transformer
from pyspark.ml.feature import IDF, NGram, Normalizer, RegexTokenizer, StopWordsRemover, VectorAssembler

from lakeloop.training.features.vocabulary import NamingWord2Vec, Vocabulary
from lakeloop.training.spec.text import Text

Stage = Estimator[Any] | Transformer
WORD = r"[\p{L}\p{M}\p{N}]+(?:['’][\p{L}\p{M}\p{N}]+)*"


def text(column: str) -> str:
    """A column of documents as SQL: a text, empty where there is none."""
    return f"coalesce(`{column}`, '')"


def text_slots(column: str, declared: Text) -> tuple[str, ...]:
    """The columns that the assembler takes, in the order of the vector."""
    made = {"terms": declared.words, "embedding": declared.embeddings, "sentiment": declared.sentiment}
    return tuple(f"{column}__{name}" for name, is_made in made.items() if is_made)


def token_stages(column: str, stop_words: tuple[str, ...]) -> list[Stage]:
    """From `<column>__text` to `<column>__words`, an array of words without the stop words."""
    words_col, tokens_col = f"{column}__words", f"{column}__tokens"
    tokenizer = RegexTokenizer(
        inputCol=f"{column}__text", outputCol=tokens_col if stop_words else words_col, pattern=WORD, gaps=False
    )
    if not stop_words:
        return [tokenizer]
    # Both sides are in lower case; to compare regardless of case Spark would ask for the locale of the machine.
    remover = StopWordsRemover(inputCol=tokens_col, outputCol=words_col, stopWords=list(stop_words), caseSensitive=True)
    return [tokenizer, remover]


def stop_words_of(declared: Text) -> tuple[str, ...]:
    """The words that are left out, in lower case. Needs a Spark session where a language is named."""
    said = declared.stop_words
    if said == "none":
        return ()
    words = StopWordsRemover.loadDefaultStopWords(said) if isinstance(said, str) else said
    return tuple(word.lower() for word in words)


def term_stages(column: str, declared: Text) -> list[Stage]:
    """From `<column>__words` to the vector `<column>__terms`, by way of `__words_<n>`, `__counts_<n>` and `__counts`.

    tf_idf is count * ln((documents + 1) / (documents with the term + 1)), each document's vector divided by its length.
    """
    lengths = range(1, declared.ngrams + 1)
    words = {n: f"{column}__words" if n == 1 else f"{column}__words_{n}" for n in lengths}
    counts = {n: counts_col(column, n) for n in lengths}
    size, least, binary = declared.words, declared.min_documents, declared.weight == "presence"
    counted_col, weighted_col, terms_col = (f"{column}__{name}" for name in ("counts", "weighted", "terms"))
    is_weighted = declared.weight == "tf_idf"
    stages: list[Stage] = [
        *(NGram(n=n, inputCol=words[1], outputCol=words[n]) for n in lengths[1:]),
        *(Vocabulary(size, least, binary=binary, input_col=words[n], output_col=counts[n]) for n in lengths),
        VectorAssembler(inputCols=list(counts.values()), outputCol=counted_col if is_weighted else terms_col),
    ]
    if is_weighted:
        stages += [
            IDF(inputCol=counted_col, outputCol=weighted_col),
            Normalizer(inputCol=weighted_col, outputCol=terms_col, p=2.0),
        ]
    return stages


def counts_col(column: str, length: int) -> str:
    """The column of counts of terms of so many words."""
    return f"{column}__counts_{length}"


def embedding_stages(column: str, declared: Text, seed: int) -> Iterator[Stage]:
    """From `<column>__words` to the vector `<column>__embedding`, the mean of the vectors of a document's words."""
    if declared.embeddings is not None:
        yield NamingWord2Vec(
            vectorSize=declared.embeddings.size,
            maxIter=declared.embeddings.passes,
            minCount=declared.min_documents,
            seed=seed,
            inputCol=f"{column}__words",
            outputCol=f"{column}__embedding",
        )
