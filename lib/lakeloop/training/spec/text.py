"""How the documents of a column become numbers, as a model file says it."""

from importlib.util import find_spec
from typing import Any, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from lakeloop.core.documents import Declaration, propose

Engine = Literal["spark", "spark_nlp"]
Weight = Literal["tf_idf", "count", "presence"]
# The languages of which Spark brings a list.
StopWords = Literal[
    "none", "danish", "dutch", "english", "finnish", "french", "german", "hungarian", "italian", "norwegian",
    "portuguese", "russian", "spanish", "swedish", "turkish",
]  # fmt: skip


class Embeddings(Declaration):
    """The mean of the vectors of a document's words, each learned from the words around it (Word2Vec)."""

    size: int = Field(50, ge=2, le=1000, description="Numbers per document")
    passes: int = Field(5, ge=1, le=100, description="How often the documents are gone through")


class Text(Declaration):
    """What is made of the documents of one column."""

    words: int = Field(
        2000, ge=0, le=200_000, description="Terms of each length, those that most documents have; 0: none"
    )
    ngrams: int = Field(1, ge=1, le=5, description="Longest sequence of words that is a term")
    min_documents: int = Field(5, ge=1, description="Documents to learn from that a term must stand in")
    stop_words: StopWords | tuple[str, ...] = Field(
        "none", description="Words that are left out: those of a language, or a list"
    )
    weight: Weight = Field(
        "tf_idf",
        description="tf_idf: less for terms that many documents have, each document of length 1; count; presence: 0, 1",
    )
    embeddings: Embeddings | None = Field(None, description="Word vectors, averaged over the document")
    engine: Engine = Field("spark", description="spark, or spark_nlp, an extra (lakeloop[nlp]), which has base forms")
    lemmas: str | None = Field(
        None,
        description="File of base forms for spark_nlp, a line each: `go -> goes went gone`, the forms parted by tabs; "
        "words are stemmed as English ones if nothing is said",
    )
    sentiment: bool = Field(
        False, description="With spark_nlp: what Vivekn's naive Bayes, learned from the label, thinks of a document"
    )

    @field_validator("stop_words", mode="before")
    @classmethod
    def _names_a_language(cls, said: Any) -> Any:
        if isinstance(said, str) and said not in get_args(StopWords):
            raise ValueError(f"there are no stop words of '{said}'; {propose(said, [*get_args(StopWords)])}; or a list")
        return said

    @model_validator(mode="after")
    def _makes_something(self) -> Self:
        if not self.words and self.embeddings is None and not self.sentiment:
            raise ValueError("words: 0 leaves nothing of the text; say embeddings or sentiment besides, or some words")
        return self

    @model_validator(mode="after")
    def _has_the_engine_that_it_needs(self) -> Self:
        wanted = [name for name in ("lemmas", "sentiment") if getattr(self, name)]
        if self.engine == "spark" and wanted:
            raise ValueError(f"{', '.join(wanted)} needs engine: spark_nlp")
        if self.engine == "spark_nlp" and find_spec("sparknlp") is None:
            raise ValueError("Spark NLP is not installed; it needs the extra: pip install 'lakeloop[nlp]'")
        return self
