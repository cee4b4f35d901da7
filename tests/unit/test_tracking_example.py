"""The rows that stay beside a model as its input example."""

from datetime import UTC, date, datetime

from pyspark.sql.types import DateType, IntegerType, StringType, StructField, StructType, TimestampType

from lakeloop.registry.tracking import _example

SCHEMA = StructType([
    StructField("months", IntegerType()), StructField("plan", StringType()), StructField("since", DateType()),
    StructField("seen", TimestampType()),
])  # fmt: skip
SEEN = datetime(2024, 1, 2, 3, tzinfo=UTC)


def test_examples_have_the_types_of_their_columns_and_few_nulls() -> None:
    known = {"months": 3, "plan": "basic", "since": date(2024, 1, 2), "seen": SEEN}
    rows = [dict.fromkeys(known), known | {"plan": None}, *(known | {"months": month} for month in range(5))]
    example = _example(rows, SCHEMA)
    assert example["months"].tolist() == [0, 1, 2, 3, 4]
    assert [str(kind) for kind in example.dtypes] == ["int32", "object", "datetime64[ms]", "datetime64[us]"]


def test_an_example_of_nulls_alone_is_one_too() -> None:
    example = _example([dict.fromkeys(SCHEMA.names)], SCHEMA)
    assert len(example) == 1
    assert example.isna().all(axis=None)
