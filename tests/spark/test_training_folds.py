from collections import Counter

import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.training.folds import assign_folds, split_train_test


@pytest.fixture(scope="module")
def people(spark: SparkSession) -> DataFrame:
    """23 rows of Yes, 40 of No, 3 with a NULL label."""
    labels = ["Yes"] * 23 + ["No"] * 40 + [None] * 3
    return spark.createDataFrame([(i, label) for i, label in enumerate(labels)], "id long, churn string")


def sizes(df: DataFrame, *columns: str) -> Counter[tuple[object, ...]]:
    return Counter(tuple(row) for row in df.select(*columns).collect())


def test_folds_deal_each_class_out_in_turn(people: DataFrame) -> None:
    found = sizes(assign_folds(people, "id", "churn", 5, seed=1), "churn", "fold")
    assert [found["Yes", fold] for fold in range(5)] == [5, 5, 5, 4, 4]
    assert [found["No", fold] for fold in range(5)] == [8] * 5
    assert [found[None, fold] for fold in range(5)] == [1, 1, 1, 0, 0]


def test_the_test_set_takes_its_exact_share_of_each_class(people: DataFrame) -> None:
    train, test = split_train_test(people, "id", "churn", 0.2, seed=1)
    assert sizes(test, "churn") == {("Yes",): 5, ("No",): 8, (None,): 1}  # 4.6, 8 and 0.6 rounded
    assert_df_equality(train.union(test), people, ignore_row_order=True)


def test_order_partitions_and_key_type_do_not_matter(people: DataFrame) -> None:
    shuffled = people.repartition(7, "churn").orderBy(F.desc("id")).withColumn("id", F.col("id").cast("int"))
    for df in (people, shuffled):
        folds = assign_folds(df, "id", "churn", 4, seed=3).withColumn("id", F.col("id").cast("long"))
        expected = assign_folds(people.orderBy("churn"), "id", "churn", 4, seed=3)
        assert_df_equality(folds, expected, ignore_row_order=True, ignore_nullable=True)


def test_another_seed_deals_otherwise(people: DataFrame) -> None:
    one, two = ({row.id for row in split_train_test(people, "id", "churn", 0.5, seed)[1].collect()} for seed in (1, 2))
    assert one != two


def test_rows_that_share_a_key_are_all_kept(spark: SparkSession) -> None:
    twice = spark.createDataFrame([("a", "Yes"), ("a", "Yes"), (None, "Yes"), ("b", "No")], "id string, churn string")
    assert sizes(assign_folds(twice, "id", "churn", 3, seed=1), "churn", "fold") == {
        ("Yes", 0): 1,
        ("Yes", 1): 1,
        ("Yes", 2): 1,
        ("No", 0): 1,
    }
