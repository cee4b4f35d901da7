from collections import Counter

import pytest
from chispa import assert_df_equality
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.training.folds.assigning import assign_folds, assign_group_folds, split_by_group, split_train_test


@pytest.fixture(scope="module")
def people(spark: SparkSession) -> DataFrame:
    """23 rows of Yes, 40 of No, 3 with a NULL label."""
    labels = ["Yes"] * 23 + ["No"] * 40 + [None] * 3
    return spark.createDataFrame([(i, label) for i, label in enumerate(labels)], "id long, churn string")


def sizes(df: DataFrame, *columns: str) -> Counter[tuple[object, ...]]:
    return Counter(tuple(row) for row in df.select(*columns).collect())


def test_folds_deal_each_class_out_in_turn(people: DataFrame) -> None:
    found = sizes(assign_folds(people, "id", 5, seed=1, stratify_by="churn"), "churn", "fold")
    assert [found["Yes", fold] for fold in range(5)] == [5, 5, 5, 4, 4]
    assert [found["No", fold] for fold in range(5)] == [8] * 5
    assert [found[None, fold] for fold in range(5)] == [1, 1, 1, 0, 0]


def test_the_test_set_takes_its_exact_share_of_each_class(people: DataFrame) -> None:
    train, test = split_train_test(people, "id", 0.2, seed=1, stratify_by="churn")
    assert sizes(test, "churn") == {("Yes",): 5, ("No",): 8, (None,): 1}  # 4.6, 8 and 0.6 rounded
    assert_df_equality(train.union(test), people, ignore_row_order=True)


def test_order_partitions_and_key_type_do_not_matter(people: DataFrame) -> None:
    shuffled = people.repartition(7, "churn").orderBy(F.desc("id")).withColumn("id", F.col("id").cast("int"))
    for df in (people, shuffled):
        folds = assign_folds(df, "id", 4, seed=3, stratify_by="churn").withColumn("id", F.col("id").cast("long"))
        expected = assign_folds(people.orderBy("churn"), "id", 4, seed=3, stratify_by="churn")
        assert_df_equality(folds, expected, ignore_row_order=True, ignore_nullable=True)


def test_another_seed_deals_otherwise(people: DataFrame) -> None:
    one, two = (
        {row.id for row in split_train_test(people, "id", 0.5, seed, stratify_by="churn")[1].collect()}
        for seed in (1, 2)
    )
    assert one != two


def test_rows_that_share_a_key_are_all_kept(spark: SparkSession) -> None:
    twice = spark.createDataFrame([("a", "Yes"), ("a", "Yes"), (None, "Yes"), ("b", "No")], "id string, churn string")
    assert sizes(assign_folds(twice, "id", 3, seed=1, stratify_by="churn"), "churn", "fold") == {
        ("Yes", 0): 1,
        ("Yes", 1): 1,
        ("Yes", 2): 1,
        ("No", 0): 1,
    }


def test_without_strata_all_rows_are_dealt_out_in_turn(people: DataFrame) -> None:
    assert sizes(assign_folds(people, "id", 5, seed=1), "fold") == {(0,): 14, (1,): 13, (2,): 13, (3,): 13, (4,): 13}
    train, test = split_train_test(people, "id", 0.25, seed=1)
    assert (train.count(), test.count()) == (49, 17)  # 16.5 rounded up


@pytest.fixture(scope="module")
def visits(spark: SparkSession) -> DataFrame:
    """Visits of customers: 8 of a, 5 of b, 4 each of c and d, 2 of e, 1 of f, one of them there twice, 3 of nobody."""
    customers: list[str | None] = [*"aaaaaaaabbbbbccccddddeef", None, None, None]
    return spark.createDataFrame([(i, customer) for i, customer in enumerate(customers)], "visit int, customer string")


def test_a_group_is_in_one_fold_and_folds_differ_by_less_than_the_largest(visits: DataFrame) -> None:
    folds = assign_group_folds(visits, "customer", 3, seed=2)
    assert folds.count() == visits.count()
    of_group = sizes(folds.distinct().select("customer", "fold").distinct(), "customer")
    assert set(of_group.values()) == {1}
    # By size: a 8 and b 5 to folds 0 and 1, c and d 4 (in any order) to 2 and 2, nobody 3 to 1, e 2 to 0, f 1 to 0.
    assert sorted(sizes(folds, "fold").values()) == [8, 8, 11]
    shuffled = visits.repartition(5, "visit").orderBy(F.desc("visit"))
    assert_df_equality(folds, assign_group_folds(shuffled, "customer", 3, seed=2), ignore_row_order=True)


def test_groups_are_held_out_as_a_whole_until_the_share_is_reached(visits: DataFrame) -> None:
    for seed in range(4):
        train, test = split_by_group(visits, "customer", 0.2, seed)  # 5.4 of 27 rows
        assert train.count() + test.count() == 27
        held_out = sizes(test, "customer")
        assert not set(held_out) & set(sizes(train, "customer"))
        rows = test.count()
        assert 5 <= rows < 5 + 8  # the group that reaches them has eight rows at most
    assert (
        len({tuple(sorted(sizes(split_by_group(visits, "customer", 0.2, seed)[1], "visit"))) for seed in range(4)}) > 1
    )
