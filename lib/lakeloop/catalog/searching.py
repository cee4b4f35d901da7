"""Data sets and columns by words that people remember of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lakeloop.catalog.datasets import Catalog, CatalogColumn, DataSet

# What a word is worth by where it is found; a name that is the word itself comes first.
EXACT, IN_NAME, IN_COLUMN, IN_TEXT = 8, 4, 2, 1


@dataclass(frozen=True)
class Hit:
    """A data set that has every word, the columns that have one, and how well it fits."""

    data_set: DataSet
    columns: tuple[CatalogColumn, ...]
    score: int


def search(catalog: Catalog, words: Sequence[str]) -> list[Hit]:
    """Data sets that have each of the words in a name, description, owner or tag, of theirs or of a column.

    Letters count whatever their case. The best fit comes first; of equal ones a record comes after its table.
    """
    wanted = [word.lower() for word in words if word.strip()]
    hits = [hit for each in catalog.data_sets.values() if (hit := _hit(each, wanted)) is not None]
    return sorted(hits, key=lambda hit: (-hit.score, hit.data_set.kind == "record", hit.data_set.name))


def _hit(data_set: DataSet, words: Sequence[str]) -> Hit | None:
    scores = [max(_worth(data_set, word), default=0) for word in words]
    if not all(scores):
        return None
    columns = tuple(each for each in data_set.columns if any(_in_column(each, word) for word in words))
    return Hit(data_set, columns, sum(scores))


def _worth(data_set: DataSet, word: str) -> Iterator[int]:
    names = {data_set.name.lower(), data_set.name.lower().rpartition(".")[2]}
    if word in names:
        yield EXACT
    if word in data_set.name.lower():
        yield IN_NAME
    if any(_in_column(each, word) for each in data_set.columns):
        yield IN_COLUMN
    if any(word in text.lower() for text in (data_set.description, data_set.owner or "", *data_set.tags)):
        yield IN_TEXT


def _in_column(column: CatalogColumn, word: str) -> bool:
    return any(word in text.lower() for text in (column.name, column.description, *column.tags))
