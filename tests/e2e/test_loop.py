"""The whole loop on the demo's world: two days of deliveries, a champion, its scores, and nothing done twice."""

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from demo.sources import running_sources
from demo.truth import defect_rows
from demo.world import World
from jobs import run_pipeline, score_table, train_model
from lakeloop.core.config import Project
from lakeloop.lake.champions import switches
from lakeloop.lake.tables import Lake
from lakeloop.registry import ModelRegistry

CONF = Path(__file__).parents[2] / "conf"
PIPELINES = ("customers", "usage", "support_contacts", "houses", "loans", "reviews")
# What a tiny model looks at, and its only candidate.
TINY = {
    "churn": ("numeric: [tenure_months, monthly_charges], categorical: [contract]", "logistic_regression"),
    "housing": ("numeric: [whole_area, age_years], categorical: [neighborhood]", "linear_regression"),
    "bad_loans": ("numeric: [interest_rate, log_income], categorical: [income_verification]", "logistic_regression"),
    "reviews": ("text: {review: {words: 300, ngrams: 1}}", "logistic_regression"),
}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL may enter under another account."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


class Loop:
    """The jobs, run in this process on a configuration with models that are quick to train."""

    def __init__(self, spark: SparkSession, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.lake = Lake(spark, str((folder / "lake").resolve()))
        self._arguments = ["--conf-dir", str(folder / "conf"), "--env", "tiny"]
        self._capsys = capsys
        shutil.copytree(CONF / "base", folder / "conf/base", dirs_exist_ok=True)
        (folder / "conf/tiny/models").mkdir(parents=True, exist_ok=True)
        for model, (features, algorithm) in TINY.items():
            candidate = f"candidates: [{{{algorithm}: {{regParam: [0.01], maxIter: [10]}}}}]"
            text = f"folds: {{count: 2}}\nfeatures: {{{features}}}\n{candidate}\n"
            (folder / f"conf/tiny/models/{model}.yml").write_text(text)
        self.project = Project(folder / "conf", "tiny")

    def run(self, job: Any, *names: str) -> list[dict[str, Any]]:
        """What a job printed."""
        self._capsys.readouterr()
        job.main([*names, *self._arguments])
        return [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]

    def counts(self) -> dict[str, dict[str, int]]:
        """Row counts by pipeline of one run of all pipelines."""
        return {entry["name"]: entry["counts"] for entry in self.run(run_pipeline)}


@contextmanager
def day(number: int, folder: Path, world: World) -> Iterator[Counter[tuple[str, str]]]:
    """The sources of a day, and how many rows of this day were planted by pipeline and outcome."""
    with running_sources(folder, world, number) as delivery:
        assert delivery.day == number
        yield Counter((defect.pipeline, defect.outcome) for defect in world.planted[number])


def check_day(loop: Loop, world: World, planted: Counter[tuple[str, str]], delivered: dict[str, int]) -> None:
    counts = loop.counts()
    order = list(counts)
    assert order.index("customer_features") > max(map(order.index, PIPELINES[:3]))
    assert order.index("house_features") > order.index("houses")
    assert order.index("loan_features") > order.index("loans")
    assert order.index("review_features") > order.index("reviews")
    for name in PIPELINES:
        found = counts[name]
        assert found["read"] == found["good"] + found["quarantined"] + found["dropped"]
        assert (found["quarantined"], found["dropped"]) == (planted[name, "quarantined"], planted[name, "dropped"])
        assert found["read"] == delivered.get(name, found["read"])
    defects = defect_rows(loop.lake, [defect for number in (1, 2) for defect in world.planted[number]])
    assert sum(row.unexpected for row in defects) == 0
    assert sum(row.found for row in defects) - sum(planted.values()) in (0, sum(map(len, [world.planted[1]])))


@pytest.mark.slow
def test_two_days_of_the_demo(spark: SparkSession, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world, loop = World(), Loop(spark, folder, capsys)
    with day(1, folder, world) as planted:
        check_day(loop, world, planted, {"customers": len(world.customers[1]), "usage": len(world.usage(1))})
    with ExitStack() as running:
        planted = running.enter_context(day(2, folder, world))
        changed = len(world.customers[2]) + len(world.changes[2])
        check_day(loop, world, planted, {"customers": changed, "usage": len(world.usage(2)) - len(world.usage(1))})
        defects = defect_rows(loop.lake, [*world.planted[1], *world.planted[2]])
        assert [(row.pipeline, row.reason) for row in defects if row.missed or row.unexpected] == []

        before = {table: loop.lake.version(table) for table in ("bronze.usage", "silver.customers")}
        again = loop.run(run_pipeline)
        assert {entry["outcome"] for entry in again} == {"nothing_new"}
        assert {table: loop.lake.version(table) for table in before} == before

        customers = loop.lake.read("silver.customers")
        everyone = customers.where("is_current").select("customer_id")
        assert everyone.count() == everyone.distinct().count() == 7043
        ended = {row["customer_id"] for row in customers.where("end_time IS NOT NULL").collect()}
        assert ended == {row["customer_id"] for row in world.changes[2]}
        features = loop.lake.read("gold.customer_features")
        assert features.count() == features.select("customer_id").distinct().count() == 7043

        check_model(loop)
        check_other_models(loop)


def check_model(loop: Loop) -> None:
    (trained,) = loop.run(train_model, "churn")
    assert (trained["outcome"], trained["counts"]["read"]) == ("succeeded", 7043)
    champion = ModelRegistry.of(loop.project).champion("churn")
    assert champion is not None
    (switch,) = switches(loop.lake.root, "churn")
    assert (champion.version, switch.tables["gold.customer_features"]) == (
        1,
        loop.lake.version("gold.customer_features"),
    )
    card = mlflow.artifacts.load_text(f"runs:/{champion.run_id}/model_card.md")
    assert card.startswith("# Model card: churn, version 1\n")
    for file in ("model_card.html", "report.html"):
        assert "version 1</h1>" in mlflow.artifacts.load_text(f"runs:/{champion.run_id}/{file}")
    (again,) = loop.run(train_model, "churn")
    assert again["outcome"] == "nothing_new"
    assert "version 1 of churn" in again["message"]

    (scored,) = loop.run(score_table, "churn")
    assert (scored["outcome"], scored["counts"]["good"]) == ("succeeded", 7043)
    (again,) = loop.run(score_table, "churn")
    assert again["outcome"] == "nothing_new"
    scores = loop.lake.read("gold.churn_scores").join(loop.lake.read("gold.customer_features"), "customer_id")
    rows = scores.groupBy("churn", "model_version").agg(
        F.count("*").alias("rows"), F.avg("probability").alias("mean"), F.min("probability"), F.max("probability")
    )
    by_label = {row["churn"]: row for row in rows.collect()}
    assert sum(row["rows"] for row in by_label.values()) == 7043
    assert {row["model_version"] for row in by_label.values()} == {1}
    assert all(0 <= row["min(probability)"] <= row["max(probability)"] <= 1 for row in by_label.values())
    assert by_label["Yes"]["mean"] > by_label["No"]["mean"] + 0.15


def check_other_models(loop: Loop) -> None:
    for name, rows in {"housing": 2930, "bad_loans": 9857, "reviews": 5000}.items():
        (trained,) = loop.run(train_model, name)
        assert (trained["outcome"], trained["counts"]["read"]) == ("succeeded", rows)
        (scored,) = loop.run(score_table, name)
        assert (scored["outcome"], scored["counts"]["good"]) == ("succeeded", rows)
    prices = loop.lake.read("gold.house_prices").join(loop.lake.read("gold.house_features"), "house_id")
    off = prices.select(F.avg(F.abs(F.col("prediction") - F.col("sale_price")))).collect()[0][0]
    assert off < 40_000  # the mean price is off by 58,000 on average
    risks = loop.lake.read("gold.loan_risks").join(loop.lake.read("gold.loan_features"), "loan_id")
    mean = {
        row["class"]: row["mean"] for row in risks.groupBy("class").agg(F.avg("probability").alias("mean")).collect()
    }
    assert 0.04 < mean["good"] < mean["bad"] < 0.2
    judged = loop.lake.read("gold.review_scores").join(loop.lake.read("gold.review_features"), "review_id")
    mean = {
        row["score"]: row["mean"] for row in judged.groupBy("score").agg(F.avg("probability").alias("mean")).collect()
    }
    assert mean["great"] > mean["other"] + 0.3
