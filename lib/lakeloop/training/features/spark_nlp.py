"""Words in their base form, and word vectors, by Spark NLP's annotators, an extra.

Everything is learned here, from a file or from the rows: nothing is downloaded. The package is imported where a model
file asks for it. Annotations stand in columns `<column>__document`, `__token`, `__normal`, `__kept` and `__base`.
"""

from pathlib import Path
from typing import Any

from pyspark.ml import Estimator, Transformer
from pyspark.ml.feature import SQLTransformer, VectorAssembler
from pyspark.sql import DataFrame

from lakeloop.core.errors import TrainingError
from lakeloop.training.features.vocabulary import require_words
from lakeloop.training.spec.text import Text

Stage = Estimator[Any] | Transformer
NO_WORD = r"[^\p{L}\p{M}\p{N}'’]+"


def base_form_stages(column: str, declared: Text, stop_words: tuple[str, ...]) -> list[Stage]:
    """From `<column>__text` to `<column>__words`: tokens, normalised, without stop words, as lemmas or stems.

    Raises TrainingError where the file of lemmas is not there or a line of it is no entry.
    """
    from sparknlp.annotator import Normalizer, Stemmer, StopWordsCleaner, Tokenizer
    from sparknlp.base import DocumentAssembler, Finisher

    named = {name: f"{column}__{name}" for name in ("text", "document", "token", "normal", "kept", "base", "words")}
    stages: list[Stage] = [
        DocumentAssembler().setInputCol(named["text"]).setOutputCol(named["document"]),
        Tokenizer().setInputCols([named["document"]]).setOutputCol(named["token"]),
        Normalizer()
        .setInputCols([named["token"]])
        .setOutputCol(named["normal"])
        .setLowercase(True)
        .setCleanupPatterns([NO_WORD]),
    ]
    last_col = named["normal"]
    if stop_words:
        cleaner = StopWordsCleaner().setStopWords(list(stop_words)).setInputCols([last_col])
        stages.append(cleaner.setOutputCol(named["kept"]))
        last_col = named["kept"]
    reducer = Stemmer() if declared.lemmas is None else _lemmatizer(column, declared.lemmas)
    return [
        *stages,
        reducer.setInputCols([last_col]).setOutputCol(named["base"]),
        Finisher().setInputCols([named["base"]]).setOutputCols([named["words"]]).setCleanAnnotations(False),
    ]


def vector_stages(column: str, declared: Text, seed: int) -> list[Stage]:
    """From the base forms to the vector `<column>__embedding`, the mean of those of the words; 0 where it has none."""
    from sparknlp.annotator import SentenceEmbeddings

    if declared.embeddings is None:
        return []
    document_col, vectors_col, mean_col = (f"{column}__{name}" for name in ("document", "vectors", "mean"))
    size = declared.embeddings.size
    numbers = [f"{column}__embedding_{number}" for number in range(1, size + 1)]
    made = ", ".join(
        f"CAST(coalesce(get(get(`{mean_col}`.embeddings, 0), {at}), 0) AS DOUBLE) AS `{number}`"
        for at, number in enumerate(numbers)
    )
    return [
        _WordVectors(column, declared, seed, vectors_col),
        SentenceEmbeddings()
        .setInputCols([document_col, vectors_col])
        .setOutputCol(mean_col)
        .setPoolingStrategy("AVERAGE"),
        SQLTransformer(statement=f"SELECT *, {made} FROM __THIS__"),
        VectorAssembler(inputCols=numbers, outputCol=f"{column}__embedding"),
    ]


class _WordVectors(Estimator[Any]):
    """Spark NLP's Word2Vec, which raises TrainingError with the column where no word is frequent enough."""

    def __init__(self, column: str, declared: Text, seed: int, output_col: str) -> None:
        super().__init__()
        self.column, self.declared, self.seed, self.output_col = column, declared, seed, output_col

    def _fit(self, dataset: DataFrame) -> Any:
        from sparknlp.annotator import Word2VecApproach

        require_words(dataset, f"{self.column}__words", self.declared.min_documents)
        embeddings = self.declared.embeddings
        assert embeddings is not None
        approach = (
            Word2VecApproach()
            .setInputCols([f"{self.column}__base"])
            .setOutputCol(self.output_col)
            .setVectorSize(embeddings.size)
            .setMaxIter(embeddings.passes)
            .setMinCount(self.declared.min_documents)
            .setSeed(abs(self.seed) + 1)  # it wants one above 0
        )
        return approach.fit(dataset)


def _lemmatizer(column: str, file: str) -> Any:
    from sparknlp.annotator import Lemmatizer

    path = Path(file).expanduser().resolve()
    where = f"text '{column}': lemmas {file}"
    if not path.is_file():
        raise TrainingError(f"{where} is not a file in {path.parent}; a relative path counts from where you run")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip() and not all(side.strip() for side in (line.split("->") if line.count("->") == 1 else [""])):
            raise TrainingError(
                f"{where}, line {number}: found `{line}`, expected `go -> goes went gone`, tabs between"
            )
    return Lemmatizer().setDictionary(str(path), key_delimiter="->", value_delimiter="\t")
