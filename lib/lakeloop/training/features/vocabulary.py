"""Stages that learn from the words of documents, and say so where there are too few."""

from pyspark.ml import Estimator
from pyspark.ml.feature import CountVectorizerModel, Word2Vec, Word2VecModel
from pyspark.ml.param.shared import HasInputCol, HasOutputCol
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError


class Vocabulary(Estimator[CountVectorizerModel], HasInputCol, HasOutputCol):
    """Keeps the terms that most documents have; its model is Spark's CountVectorizerModel.

    At most `size` terms, each in `min_documents` documents at least; of terms in equally many the first by the order of
    their bytes, so that the rows decide and not their partitions, as with Spark's CountVectorizer. One pass over the
    rows; the kept terms reach the driver. Raises TrainingError where no term is left.
    """

    def __init__(self, size: int, min_documents: int, *, binary: bool, input_col: str, output_col: str) -> None:
        super().__init__()
        self.size, self.min_documents, self.binary = size, min_documents, binary
        self._set(inputCol=input_col, outputCol=output_col)

    def _fit(self, dataset: DataFrame) -> CountVectorizerModel:
        terms = dataset.select(F.explode(F.array_distinct(F.col(f"`{self.getInputCol()}`"))).alias("term"))
        counted = terms.groupBy("term").agg(F.count("*").alias("documents"))
        kept = counted.where(F.col("documents") >= self.min_documents).orderBy(F.desc("documents"), "term")
        found = [row["term"] for row in kept.limit(self.size).collect()]
        if not found:
            raise too_few_words(self.getInputCol(), f"in {self.min_documents} documents")
        return CountVectorizerModel.from_vocabulary(
            found, inputCol=self.getInputCol(), outputCol=self.getOutputCol(), binary=self.binary
        )


class NamingWord2Vec(Word2Vec):
    """Spark's Word2Vec, which raises TrainingError with the column where no word is frequent enough."""

    def _fit(self, dataset: DataFrame) -> Word2VecModel:
        require_words(dataset, self.getInputCol(), self.getMinCount())
        model: Word2VecModel = super()._fit(dataset)
        return model


def require_words(dataset: DataFrame, words_col: str, min_count: int) -> None:
    """Raise TrainingError where no word of an array column stands `min_count` times in the rows."""
    words = dataset.select(F.explode(F.col(f"`{words_col}`")).alias("word")).groupBy("word").count()
    if words.where(F.col("count") >= min_count).isEmpty():
        raise too_few_words(words_col, f"{min_count} times")


def too_few_words(words_col: str, often: str) -> TrainingError:
    """What is said where nothing is left to learn from; `often` is how often a word would have to be there."""
    column, _, kind = words_col.partition("__")
    length = kind.removeprefix("words_") if kind.startswith("words_") else "1"
    terms = "word" if length == "1" else f"sequence of {length} words"
    return TrainingError(
        f"text '{column}': no {terms} stands {often} in what is learned from; lower "
        f"min_documents{' or ngrams' if length != '1' else ''}, name fewer stop words, or take the column out"
    )
