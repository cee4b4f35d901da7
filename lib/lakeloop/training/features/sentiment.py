"""What the words of a document say for the positive class: Spark NLP's sentiment analysis, learned from the label.

Narayanan, Arora and Bhatia, "Fast and accurate sentiment classification using an enhanced Naive Bayes model" (2013), as
Spark NLP's Vivekn annotator has it. It is learned anew on the rows of each fold; a row that was learned from takes what
those of the other parts of `learned_rows.py` say.
"""

from collections.abc import Sequence
from typing import Any

from pyspark.ml import Estimator, Model, Transformer
from pyspark.ml.feature import SQLTransformer
from pyspark.ml.param.shared import HasInputCols
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.training.features.learned_rows import PARTS, LearnedRows, fold, part

OPINION_COL = "_opinion"


class SentimentEncoder(Estimator["SentimentModel"], HasInputCols):
    """Learns from `<column>__base` and the label: `<column>__sentiment` becomes a number from -1 to 1.

    Six annotators are fitted, one of all rows and one beside each part. Rows are parted by `part_col`; those whose
    `fold_cols` hold what the rows learned from held count as learned from.
    """

    def __init__(self, column: str, *, label_col: str, part_col: str, fold_cols: Sequence[str]) -> None:
        super().__init__()
        self.column, self.label_col, self.part_col, self.fold_cols = column, label_col, part_col, tuple(fold_cols)
        self._set(inputCols=[f"{column}__document", f"{column}__base", label_col, part_col, *fold_cols])

    def _fit(self, dataset: DataFrame) -> "SentimentModel":
        label = F.when(F.col(self.label_col) == 1, "positive").otherwise("negative").alias(OPINION_COL)
        # The annotator learns from the first column of tokens that it is given, whatever its input columns say.
        learned = [F.col(f"{self.column}__document"), F.col(f"{self.column}__base"), label]
        folds = {
            name: sorted(row[0] for row in dataset.select(F.expr(fold(name))).distinct().collect())
            for name in self.fold_cols
        }
        of_part = F.expr(part(self.part_col))
        beside = [
            self._approach(f"__sentiment_{number}").fit(dataset.where(of_part != number).select(*learned))
            for number in range(PARTS)
        ]
        everyone = self._approach("__opinion").fit(dataset.select(*learned))
        return SentimentModel(self.column, everyone, beside, LearnedRows(self.part_col, folds))

    def _approach(self, suffix: str) -> Any:
        from sparknlp.annotator import ViveknSentimentApproach

        approach = ViveknSentimentApproach().setInputCols([f"{self.column}__document", f"{self.column}__base"])
        return approach.setSentimentCol(OPINION_COL).setOutputCol(f"{self.column}{suffix}")


class SentimentModel(Model):
    """Judges rows in training; `for_serving` gives the annotator of all rows, which knows no fold."""

    def __init__(self, column: str, everyone: Any, beside: Sequence[Any], learned: LearnedRows) -> None:
        super().__init__()
        self.column, self.everyone, self.beside, self.learned = column, everyone, tuple(beside), learned

    def for_serving(self) -> list[Transformer]:
        """The annotator and its answer as a number, for rows of which none was learned from."""
        number = f"{_number(f'{self.column}__opinion')} AS `{self.column}__sentiment`"
        return [self.everyone, SQLTransformer(statement=f"SELECT *, {number} FROM __THIS__")]

    def _transform(self, dataset: DataFrame) -> DataFrame:
        judged: DataFrame = self.everyone.transform(dataset)
        block = self.learned.block(dataset.columns)
        if block != "0":
            for annotator in self.beside:
                judged = annotator.transform(judged)
        numbers = [_number(f"{self.column}__sentiment_{number}") for number in range(PARTS)] if block != "0" else []
        chosen = f"element_at(array({', '.join([_number(f'{self.column}__opinion'), *numbers])}), {block} + 1)"
        return judged.select(*dataset.columns, F.expr(chosen).alias(f"{self.column}__sentiment"))


def _number(annotated: str) -> str:
    """The annotator's confidence, negative for the other class; 0 where it cannot tell. As SQL."""
    sign = f"CASE get(`{annotated}`.result, 0) WHEN 'positive' THEN 1 WHEN 'negative' THEN -1 ELSE 0 END"
    sure = f"nanvl(try_cast(get(`{annotated}`.metadata, 0)['confidence'] AS DOUBLE), 0)"
    return f"coalesce({sign} * {sure}, 0D)"
