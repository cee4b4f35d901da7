"""Each damage of ledger and record: named before anything is read or healed by the run, and a way back by repair."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from lakeloop.core.errors import DamageError
from lakeloop.core.run_record import RunContext
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files import FilesReader
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.file_catalog import FileCatalog
from lakeloop.lake.ops_tables import read_rows
from lakeloop.lake.tables import Lake
from lakeloop.repair import Bench, Finding, examine_lake, examine_pipeline

BATCHES = 4  # one file each; a fifth file is dropped after the damage
BRONZE, VIEW = "bronze/orders", "silver/orders/_view.json"
EXPECTED = Counter({(f"{kind}{n}", verdict): 1 for n in range(BATCHES + 1) for kind, verdict in
                    (("a", "good"), ("b", "good"), ("c", "quarantined"))})  # fmt: skip


@dataclass(frozen=True)
class Shop:
    """A drop folder, a copy of a lake, and the pipeline between them."""

    spark: SparkSession
    drop: Path
    folder: Path
    sink: tuple[tuple[str, object], ...] = (("table", "silver.orders"),)
    schema: Mapping[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> PipelineSpec:
        source = {"files": "drop", "formats": {"csv": {}}, "settle": "0s", "files_per_batch": 1}
        return PipelineSpec.model_validate({
            "pipeline": "orders", "description": "Orders", "sink": dict(self.sink),
            "source": source | {"schema": dict(self.schema)},
            "transforms": [{"cast": {"amount": "int"}}], "rules": [{"is_in_range": {"column": "amount", "min": 0}}],
        })  # fmt: skip

    @property
    def lake(self) -> Lake:
        return Lake(self.spark, str(self.folder))

    def run(self) -> None:
        """Batch after batch until nothing is new."""
        spec = self.spec
        assert isinstance(spec.source, FilesSource)
        catalog = FileCatalog(self.lake.root, "orders", None)
        reader = FilesReader(self.spark, str(self.drop), spec.source, catalog)
        while Pipeline(spec, reader, self.lake).run(RunContext("run", "test"), lambda text: None).batch_id is not None:
            pass

    def repair(self, *, dry_run: bool = False) -> list[Finding]:
        bench = Bench(self.lake.root, RunContext("repair", "test"), dry_run)
        return [*examine_lake(bench), *examine_pipeline(bench, self.spec, str(self.drop), lambda: self.lake)]

    def bronze(self) -> Counter[tuple[str, str]]:
        return Counter((row["id"], row["_verdict"]) for row in self.lake.read("bronze.orders").collect())

    def silver(self) -> Counter[tuple[str, int]]:
        return Counter((row["id"], row["amount"]) for row in self.lake.read("silver.orders").collect())

    def is_exact(self) -> bool:
        """Whether every row of every file is there once, as it was judged, and every file on record as read."""
        files = sorted(read_rows(self.lake.root, "ops.files"), key=lambda row: row["taken_at"])
        latest = {row["path"]: row["outcome"] for row in files}
        good = Counter({(id_, int(id_[1:])): 1 for id_, verdict in EXPECTED if verdict == "good"})
        assert self.bronze() == EXPECTED
        assert self.silver() == good
        assert latest == {str(self.drop / f"{n}.csv"): "read" for n in range(BATCHES + 1)}
        return True

    def commit(self, table: str, version: int = -1) -> Path:
        """A commit of a table, by default the newest."""
        return sorted((self.folder / table / "_delta_log").glob("*.json"))[version]

    def data(self, table: str, version: int) -> Path:
        """The first data file that a commit brought."""
        actions = map(json.loads, self.commit(table, version).read_text().splitlines())
        return self.folder / table / next(action["add"]["path"] for action in actions if "add" in action)


def write_file(drop: Path, number: int) -> None:
    rows = [f"a{number},{number}", f"b{number},{number}", f"c{number},-1"]
    (drop / f"{number}.csv").write_text("\n".join(["id,amount", *rows, ""]))


@pytest.fixture(scope="module")
def sound(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A lake of four batches whose record has a checkpoint at its second commit, and a fifth file."""
    folder = tmp_path_factory.mktemp("sound")
    (folder / "drop").mkdir()
    shop = Shop(spark, folder / "drop", folder / "lake")
    for number in range(BATCHES):
        write_file(shop.drop, number)
        shop.run()
        if number == 1:
            DeltaTable(f"{shop.folder}/{BRONZE}").create_checkpoint()
    write_file(shop.drop, BATCHES)
    return shop


@pytest.fixture
def shop(sound: Shop, tmp_path: Path) -> Shop:
    """A copy to damage. Delta remembers logs by their path, and this one is new to it."""
    shutil.copytree(sound.folder, tmp_path / "lake")
    return Shop(sound.spark, sound.drop, tmp_path / "lake")


def lose(path: Path) -> None:
    """Delete a file and the checksums beside it, as a person who cleans up would."""
    for each in (path, path.parent / f".{path.name}.crc"):
        each.unlink(missing_ok=True)


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def spoil(path: Path) -> None:
    path.write_bytes(b"\x00\xff no such thing" * 20)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def lose_newest(shop: Shop, table: str) -> None:
    newest = shop.commit(table)
    lose(newest)
    lose(newest.with_suffix(".crc"))


Damage = Callable[[Shop], object]
DAMAGES: dict[str, tuple[Damage, str]] = {
    # The ledger, in six ways and more.
    "plan lost": (lambda s: lose_newest(s, "ops/batches"), "ops.runs has the end of batch 3, which ops.batches does"),
    "plan lost with its data": (
        lambda s: (lose(s.data("ops/batches", -1)), lose_newest(s, "ops/batches")), "ops.batches does not know"
    ),
    "plans torn": (lambda s: tear(s.commit("ops/batches")), "ops.batches cannot be read"),
    "plans spoilt": (lambda s: spoil(s.commit("ops/batches", 2)), "ops.batches cannot be read"),
    "plans emptied": (lambda s: empty(s.commit("ops/batches", 2)), "ops.batches is damaged: commit 2 is empty"),
    "ends torn": (lambda s: tear(s.commit("ops/runs", 0)), "ops.runs cannot be read"),
    "ends emptied": (lambda s: empty(s.commit("ops/runs", 3)), "ops.runs is damaged: commit 3 is empty"),
    "plan's data lost": (lambda s: lose(s.data("ops/batches", -1)), "ops.batches cannot be read"),
    "plan's data spoilt": (lambda s: spoil(s.data("ops/batches", 2)), "ops.batches cannot be read"),
    "files gone": (lambda s: shutil.rmtree(s.folder / "ops/files"), "ops.files lacks the files of batch 3"),
    "files' data torn": (lambda s: tear(s.data("ops/files", 2)), "ops.files cannot be read"),
    "files' log gone": (lambda s: shutil.rmtree(s.folder / "ops/files/_delta_log"), "ops.files is damaged: its log"),
    "view torn": (lambda s: tear(s.folder / VIEW), "_view.json is damaged"),
    "view lost": (lambda s: lose(s.folder / VIEW), "the view silver.orders lacks batch 3"),
    "plans gone": (lambda s: shutil.rmtree(s.folder / "ops/batches"), "ops.batches does not know"),
    "ends gone": (lambda s: shutil.rmtree(s.folder / "ops/runs"), "ops.runs says of batch 0 no end"),
    "schemas gone": (lambda s: shutil.rmtree(s.folder / "ops/schemas"), "ops.schemas lacks version 1"),
    "ledger gone": (lambda s: shutil.rmtree(s.folder / "ops"), "ops.batches knows none of this pipeline"),
    # The log of the record, in four ways and more.
    "newest lost": (lambda s: lose_newest(s, BRONZE), "bronze.orders lacks batch 3, which ops.runs says succeeded"),
    "newest torn": (lambda s: tear(s.commit(BRONZE)), "bronze.orders cannot be read"),
    "newest spoilt": (lambda s: spoil(s.commit(BRONZE)), "bronze.orders cannot be read"),
    "newest emptied": (lambda s: empty(s.commit(BRONZE)), "bronze.orders is damaged: commit 3 is empty"),
    "middle lost": (lambda s: lose(s.commit(BRONZE, 2)), "bronze.orders is damaged: commit 2 is missing"),
    "checkpoint torn": (
        lambda s: tear(next((s.folder / BRONZE / "_delta_log").glob("*.checkpoint.parquet"))), "bronze.orders cannot be"
    ),
    "data lost": (lambda s: lose(s.data(BRONZE, 1)), "bronze.orders is damaged: its data file .* is missing"),
    "data torn": (lambda s: tear(s.data(BRONZE, 2)), "bronze.orders is damaged: its data file .* bytes of"),
    "newest lost with its data": (
        lambda s: (lose(s.data(BRONZE, -1)), lose_newest(s, BRONZE)), "bronze.orders lacks batch 3"
    ),
    "log gone": (lambda s: shutil.rmtree(s.folder / BRONZE / "_delta_log"), "bronze.orders is damaged: its log has no"),
    "record gone": (lambda s: shutil.rmtree(s.folder / BRONZE), "bronze.orders lacks batch 3"),
}  # fmt: skip


def state(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_named_and_repaired_to_the_row(shop: Shop, name: str) -> None:
    damage, said = DAMAGES[name]
    damage(shop)
    before = state(shop.folder)
    with pytest.raises(DamageError, match=said) as caught:
        shop.run()
    assert "`lakeloop repair" in str(caught.value)
    planned = shop.repair(dry_run=True)
    assert state(shop.folder) == before
    assert any(finding.state == "damaged" for finding in planned)
    assert {finding.state for finding in shop.repair()} == {"mended"}
    shop.run()
    assert shop.is_exact()
    assert shop.repair() == []


HEALED: dict[str, Damage] = {
    "end lost": lambda s: lose_newest(s, "ops/runs"),
    "hint spoilt": lambda s: spoil(s.folder / BRONZE / "_delta_log/_last_checkpoint"),
    "hint lost": lambda s: lose(s.folder / BRONZE / "_delta_log/_last_checkpoint"),
}


@pytest.mark.parametrize("name", HEALED)
def test_what_a_run_heals_by_itself(shop: Shop, name: str) -> None:
    HEALED[name](shop)
    shop.run()
    assert shop.is_exact()


def test_a_sound_lake_is_left_alone(shop: Shop) -> None:
    before = state(shop.folder)
    assert shop.repair() == []
    assert state(shop.folder) == before


def test_rows_whose_files_are_gone_are_kept_and_named_until_the_files_are_back(shop: Shop, tmp_path: Path) -> None:
    own = Shop(shop.spark, tmp_path / "drop", shop.folder)
    shutil.copytree(shop.drop, own.drop)
    for table in ("bronze", "silver", "ops"):
        shutil.rmtree(own.folder / table)
    own.run()
    lost = own.data(BRONZE, 1)
    verdict = lost.parent.name.removeprefix("_verdict=")
    rows = {"good": 2, "quarantined": 1}[verdict]
    lose(lost)
    gone = own.drop / "1.csv"
    gone.rename(tmp_path / "elsewhere.csv")
    mended, left = own.repair()
    assert (mended.state, left.state, left.what) == ("mended", "lost", f"{rows:,} rows of batch 1 are missing")
    assert f"{3 - rows} rows of it are kept. Put these files back as they were" in left.cure
    assert f"{gone} ({rows} rows lost)" in left.cure
    own.run()
    assert sum(own.bronze().values()) == sum(EXPECTED.values()) - rows
    assert [finding.state for finding in own.repair()] == ["lost"]
    shutil.copyfile(tmp_path / "elsewhere.csv", gone)
    assert [finding.state for finding in own.repair()] == ["mended"]
    own.run()
    assert own.is_exact()


def test_a_column_that_a_lost_commit_brought_comes_back_with_its_rows(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    shop = Shop(spark, tmp_path / "drop", tmp_path / "lake", schema={"evolution": "evolve"})
    write_file(shop.drop, 0)
    shop.run()
    (shop.drop / "1.csv").write_text("id,amount,colour\na1,1,red\nb1,1,\n")
    shop.run()
    before = sorted(map(tuple, shop.lake.read("silver.orders").select("id", "colour").collect()), key=str)
    copied = Shop(spark, shop.drop, tmp_path / "copy", schema=shop.schema)
    shutil.copytree(shop.folder, copied.folder)
    lose_newest(copied, BRONZE)
    assert [(finding.table, finding.state) for finding in copied.repair()] == [("bronze.orders", "mended")]
    copied.run()
    after = sorted(map(tuple, copied.lake.read("silver.orders").select("id", "colour").collect()), key=str)
    assert after == before == [("a0", None), ("a1", "red"), ("b0", None), ("b1", None)]


MERGED = (("table", "silver.orders"), ("mode", "merge"), ("keys", ("id",)))
SINK_DAMAGES: dict[str, Damage] = {
    "newest lost": lambda s: lose_newest(s, "silver/orders"),
    "middle torn": lambda s: tear(s.commit("silver/orders", 1)),
    "data lost": lambda s: lose(s.data("silver/orders", -1)),
    "gone": lambda s: shutil.rmtree(s.folder / "silver/orders"),
}


@pytest.fixture(scope="module")
def merged(spark: SparkSession, sound: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A lake whose sink has rows of its own, with all five files in it."""
    shop = Shop(spark, sound.drop, tmp_path_factory.mktemp("merged") / "lake", MERGED)
    shop.run()
    return shop


@pytest.mark.parametrize("name", SINK_DAMAGES)
def test_a_table_of_its_own_is_made_anew_from_the_record(merged: Shop, tmp_path: Path, name: str) -> None:
    shutil.copytree(merged.folder, tmp_path / "lake")
    shop = Shop(merged.spark, merged.drop, tmp_path / "lake", MERGED)
    SINK_DAMAGES[name](shop)
    assert [(finding.table, finding.state) for finding in shop.repair()] == [("silver.orders", "mended")]
    shop.run()
    assert shop.is_exact()
    assert shop.repair() == []
