"""Categories as one number each: the mean of the label, or the share of the rows.

The formulas stand in `encoding_tables.py`. NULL is a category of its own; one that was not there has a number, too.

A row that was learned from must not meet its own label in its own feature, or the model trusts the feature more than it
deserves: it takes the statistics of the other parts of `learned_rows.py`, as in `TargetEncoder.fit_transform`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pyspark.ml import Estimator, Model, Transformer
from pyspark.ml.feature import SQLTransformer, StringIndexer, StringIndexerModel
from pyspark.ml.param.shared import HasInputCols
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from lakeloop.core.errors import TrainingError
from lakeloop.training.features.encoding_tables import EncodingTable, encoding_table
from lakeloop.training.features.learned_rows import PARTS, LearnedRows, fold, part
from lakeloop.training.spec.features import Encoding

MOST_CATEGORIES = 10_000


class CategoryEncoder(Estimator["CategoryEncoderModel"], HasInputCols):
    """Learns one number per category of each column in `encodings`: `<name>__category` becomes `<name>__encoded`.

    Rows are parted by `part_col`; those whose `fold_cols` hold what the rows learned from held count as learned from.
    One Spark pass over the rows, one row per category to the driver, then StringIndexer's. Raises TrainingError for a
    column of more than 10,000 categories.
    """

    def __init__(
        self,
        encodings: Mapping[str, Encoding],
        smoothing: float,
        *,
        label_col: str,
        part_col: str,
        fold_cols: Sequence[str],
    ) -> None:
        super().__init__()
        self.encodings, self.smoothing = dict(encodings), smoothing
        self.label_col, self.part_col, self.fold_cols = label_col, part_col, tuple(fold_cols)
        # Everything that is read, so that a cache of fewer columns keeps it.
        self._set(inputCols=[*_named(encodings, "category"), label_col, part_col, *fold_cols])

    def _fit(self, dataset: DataFrame) -> "CategoryEncoderModel":
        counts, folds = self._count(dataset)
        indexer = StringIndexer(
            inputCols=_named(self.encodings, "category"),
            outputCols=_named(self.encodings, "index"),
            handleInvalid="keep",
            stringOrderType="alphabetAsc",
        ).fit(dataset)
        tables = {
            name: encoding_table(encoding, counts[at], labels, self.smoothing)
            for at, ((name, encoding), labels) in enumerate(
                zip(self.encodings.items(), indexer.labelsArray, strict=True)
            )
        }
        return CategoryEncoderModel(indexer, tables, LearnedRows(self.part_col, folds))

    def _count(self, dataset: DataFrame) -> tuple[dict[int, dict[str, NDArray[np.float64]]], dict[str, list[int]]]:
        """Rows and sums of the label by column, category and part, shape (2, PARTS); and the folds of the rows."""
        named = [
            F.struct(F.lit(at).alias("at"), F.col(f"`{column}`").alias("category"))
            for at, column in enumerate(_named(self.encodings, "category"))
        ]
        rows = dataset.select(
            F.expr(part(self.part_col)).alias("part"),
            F.col(self.label_col).alias("label"),
            *(F.expr(fold(name)).alias(name) for name in self.fold_cols),
            F.explode(F.array(*named)).alias("of"),
        )
        in_part = [F.col("part") == number for number in range(PARTS)]
        found = (
            rows.groupBy("of.at", "of.category")
            .agg(
                F.array(*(F.count(F.when(is_in, 1)) for is_in in in_part)).alias("rows"),
                F.array(*(F.coalesce(F.sum(F.when(is_in, F.col("label"))), F.lit(0.0)) for is_in in in_part)).alias(
                    "sums"
                ),
                F.array(*map(F.collect_set, self.fold_cols)).alias("folds"),
            )
            .limit(len(self.encodings) * MOST_CATEGORIES + 1)
            .collect()
        )
        counts: dict[int, dict[str, NDArray[np.float64]]] = defaultdict(dict)
        folds: dict[str, set[int]] = {name: set() for name in self.fold_cols}
        for row in found:
            counts[row["at"]][row["category"]] = np.array([row["rows"], row["sums"]], dtype=np.float64)
            for seen, more in zip(folds.values(), row["folds"], strict=True):
                seen.update(more)
        for at, name in enumerate(self.encodings):
            if len(counts[at]) > MOST_CATEGORIES:
                raise TrainingError(
                    f"encode: '{name}' has more than {MOST_CATEGORIES:,} categories; group them in the pipeline, or "
                    "take a column that is coarser"
                )
        return counts, {name: sorted(seen) for name, seen in folds.items()}


class CategoryEncoderModel(Model):
    """Encodes rows in training; `for_serving` gives Spark's own stages, which know no fold."""

    def __init__(self, indexer: StringIndexerModel, tables: Mapping[str, EncodingTable], learned: LearnedRows) -> None:
        super().__init__()
        self.indexer, self.tables, self.learned = indexer, dict(tables), learned

    def for_serving(self) -> list[Transformer]:
        """An indexer and a look-up, for rows of which none was learned from."""
        made = [
            f"{_looked_up(table.all, f'CAST(`{name}__index` AS INT)')} AS `{name}__encoded`"
            for name, table in self.tables.items()
        ]
        return [self.indexer, SQLTransformer(statement=f"SELECT *, {', '.join(made)} FROM __THIS__")]

    def _transform(self, dataset: DataFrame) -> DataFrame:
        indexed, block = self.indexer.transform(dataset), self.learned.block(dataset.columns)
        made = {name: self._encoded(name, table, block) for name, table in self.tables.items()}
        return indexed.select("*", *(F.expr(text).alias(f"{name}__encoded") for name, text in made.items()))

    def _encoded(self, name: str, table: EncodingTable, block: str) -> str:
        index = f"CAST(`{name}__index` AS INT)"
        if table.beside is None:
            return _looked_up(table.all, index)
        return _looked_up(np.concatenate([table.all, *table.beside]), f"{block} * {len(table.all)} + {index}")


def _looked_up(numbers: NDArray[np.float64], at: str) -> str:
    # A text of numbers is one literal, which Spark casts once a query; thousands of literals take it seconds to plan.
    return f"element_at(CAST(split('{','.join(map(repr, numbers.tolist()))}', ',') AS ARRAY<DOUBLE>), {at} + 1)"


def _named(columns: Iterable[str], suffix: str) -> list[str]:
    return [f"{column}__{suffix}" for column in columns]
