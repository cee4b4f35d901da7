"""What a batch brought, from its commit and its files; worked out by hand on few rows with NULL, NaN and repeats."""

import math
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, write_deltalake

from lakeloop.core.config import Project
from lakeloop.core.run_record import RowCounts
from lakeloop.ingestion.batch_profile import profile_batch
from lakeloop.ingestion.spec import load_pipeline
from lakeloop.lake.batch_measures import CATEGORIES, MOST_VALUES, OTHERS, Number, measure_batch
from lakeloop.lake.batch_profiles import past_batches
from lakeloop.lake.ledger import Batch, Plan
from lakeloop.lake.tables import Commit
from tests.quality_lake import PIPELINES

FIRST, SECOND = Commit("orders-0123456789ab", 0, "r1"), Commit("orders-0123456789ab", 1, "r2")


def write(root: str, commit: Commit, columns: dict[str, pa.Array], verdicts: list[str]) -> None:
    rows = pa.table({**columns, "_verdict": verdicts, "_batch_id": pa.array([commit.batch_id] * len(verdicts))})
    said = CommitProperties(custom_metadata={"userMetadata": commit.metadata})
    write_deltalake(
        f"{root}/bronze/orders", rows, mode="append", partition_by=["_verdict"], commit_properties=said,
        schema_mode="merge",
    )  # fmt: skip


def test_only_good_rows_of_its_own_commit_count(tmp_path: Path) -> None:
    root = str(tmp_path)
    write(root, FIRST, {"amount": pa.array([1e6, None]), "country": pa.array(["IT", None])}, ["good", "good"])
    amount = pa.array([1.0, 3.0, 3.0, math.nan, math.inf, None, 777.0])
    country = pa.array(["DE", "DE", "FR", "", None, None, "IT"])
    write(root, SECOND, {"amount": amount, "country": country}, ["good"] * 6 + ["quarantined"])
    found = measure_batch(root, "bronze.orders", SECOND, ["amount"], ["country"])
    assert found is not None
    assert found.rows == 6
    assert found.problems == ()
    assert found.numbers == {
        Number("amount", "null_share"): pytest.approx(1 / 6),
        Number("country", "null_share"): pytest.approx(2 / 6),
        Number("amount", "mean"): pytest.approx(7 / 3),
        Number("amount", "stddev"): pytest.approx((8 / 9) ** 0.5),
        Number("country", "share", "DE"): 0.5,
        Number("country", "share", "FR"): 0.25,
        Number("country", "share", ""): 0.25,
    }
    assert measure_batch(root, "bronze.orders", Commit("orders-ffffffffffff", 1, "r"), [], []) is None


def test_only_the_most_frequent_values_have_a_share_of_their_own(tmp_path: Path) -> None:
    values = [f"v{number:02}" for number in range(CATEGORIES + 5) for _ in range(2 if number < CATEGORIES else 1)]
    write(str(tmp_path), FIRST, {"country": pa.array(values)}, ["good"] * len(values))
    found = measure_batch(str(tmp_path), "bronze.orders", FIRST, [], ["country"])
    assert found is not None
    shares = {number.category: share for number, share in found.numbers.items() if number.metric == "share"}
    assert len(shares) == CATEGORIES + 1
    assert shares[OTHERS] == pytest.approx(5 / 45)
    assert sum(shares.values()) == pytest.approx(1)


def test_a_column_of_many_values_has_no_shares(tmp_path: Path) -> None:
    values = [str(number) for number in range(MOST_VALUES + 1)]
    write(str(tmp_path), FIRST, {"country": pa.array(values)}, ["good"] * len(values))
    found = measure_batch(str(tmp_path), "bronze.orders", FIRST, [], ["country"])
    assert found is not None
    assert found.problems == ("country has more than 50 values, so no shares",)
    assert set(found.numbers) == {Number("country", "null_share")}


def test_means_of_pieces_are_the_mean_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakeloop.lake.batch_measures.ROWS_AT_A_TIME", 2)
    numbers = [Decimal("1.10"), Decimal("2.20"), None, Decimal("3.30"), Decimal("1000.40")]
    amount = pa.array(numbers, pa.decimal128(10, 2))
    write(str(tmp_path), FIRST, {"amount": amount, "whole": pa.array([1, 2, 3, 4, None])}, ["good"] * 5)
    found = measure_batch(str(tmp_path), "bronze.orders", FIRST, ["amount", "whole"], ["whole"])
    assert found is not None
    assert found.numbers[Number("amount", "mean")] == pytest.approx(251.75)
    assert found.numbers[Number("amount", "stddev")] == pytest.approx(432.234, abs=1e-3)
    assert found.numbers[Number("whole", "mean")] == 2.5
    assert found.numbers[Number("whole", "share", "3")] == 0.25


def test_what_cannot_be_measured_is_said(tmp_path: Path) -> None:
    day = pa.array([None, None], pa.date32())
    write(
        str(tmp_path),
        FIRST,
        {"amount": pa.array([None, None], pa.float64()), "day": day, "whole": pa.array([1.0, 2.0])},
        ["good"] * 2,
    )
    found = measure_batch(str(tmp_path), "bronze.orders", FIRST, ["amount", "day", "gone"], ["whole"])
    assert found is not None
    assert found.problems == (
        "day of type date32[day] has no mean",
        "there is no column 'gone'",
        "whole of type double has no shares",
    )
    assert Number("amount", "mean") not in found.numbers


def test_a_batch_without_good_rows_has_no_shares_and_no_means(tmp_path: Path) -> None:
    write(str(tmp_path), FIRST, {"amount": pa.array([1.0])}, ["quarantined"])
    found = measure_batch(str(tmp_path), "bronze.orders", FIRST, ["amount"], [])
    assert found is not None
    assert (found.rows, found.numbers) == (0, {})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    for part in ("conf/base/pipelines", "conf/local"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "conf/base/platform.yml").write_text(f"lake: {tmp_path}/lake\n")
    (tmp_path / "conf/base/connections.yml").write_text(f"drop: {{files: {{path: {tmp_path}/drop}}}}\n")
    (tmp_path / "conf/base/pipelines/orders.yml").write_text(PIPELINES["orders"])
    write(f"{tmp_path}/lake", FIRST, {"amount": pa.array([1.0, 2.0]), "country": pa.array(["DE", None])}, ["good"] * 2)
    return Project(tmp_path / "conf", "local")


def test_a_batch_is_measured_once_and_a_replay_never(project: Project) -> None:
    spec, root = load_pipeline(project, "orders"), project.lake_root
    replay = Batch(FIRST, Plan({}, "made up", kind="replay"))
    assert profile_batch(root, spec, replay, RowCounts(2, 2)) == ()
    assert past_batches(root, ["orders"]) == {}
    batch = Batch(FIRST, Plan({}, "made up"))
    for _ in range(2):  # a run that was killed before its end is on record measures again
        assert profile_batch(root, spec, batch, RowCounts(2, 2)) == ()
    found = past_batches(root, ["orders"])["orders"]
    assert found.batch_ids == (0,)
    assert found.values[Number("amount", "mean")] == [1.5]
    assert Number(None, "wait_seconds") not in found.values  # it is not its own predecessor


def test_trouble_with_the_numbers_stops_no_run(project: Project) -> None:
    spec, root = load_pipeline(project, "orders"), project.lake_root
    log = Path(root) / "ops/table_profiles/_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("{torn")
    (said,) = profile_batch(root, spec, Batch(FIRST, Plan({}, "made up")), RowCounts(2, 2))
    assert said.startswith("its numbers are not kept: ops.table_profiles cannot be read")
