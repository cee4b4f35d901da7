"""The report of a run on the bronze table that Spark writes."""

from pathlib import Path

from lakeloop.core.run_record import RunContext, now
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files import FilesReader
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.file_catalog import FileCatalog
from lakeloop.lake.tables import Lake
from lakeloop.reports.run_report import run_sections


def test_examples_of_a_real_batch_name_file_line_and_what_stood_there(lake: Lake, tmp_path: Path) -> None:
    spec = PipelineSpec.model_validate(
        {
            "pipeline": "orders",
            "description": "Orders",
            "source": {"files": "drop", "formats": {"csv": {}}, "fields": ["id", "amount"], "settle": "0s"},
            "rules": [{"is_not_null": "id"}, {"is_unique": {"columns": ["id"], "horizon": "batch"}}],
            "sink": {"table": "silver.orders"},
        }
    )
    assert isinstance(spec.source, FilesSource)
    drop = tmp_path / "drop"
    drop.mkdir()
    catalog = FileCatalog(lake.root, "orders", None)
    pipeline = Pipeline(spec, FilesReader(lake.spark, str(drop), spec.source, catalog), lake)
    runs = [RunContext("run", "test", f"r{number}") for number in range(3)]
    for run, lines in zip(runs, (["a,1", ",2"], ["b,1", "=b,2", "=b,3", ",4"]), strict=False):
        (drop / f"{run.run_id}.csv").write_text("\n".join(["id,amount", *lines]) + "\n")
        pipeline.run(run, lambda text: None)
    pipeline.run(runs[2], lambda text: None)
    rows, _, reasons, trend, freshness = run_sections(lake.root, "r1", [spec], now())
    assert rows.tables[0].texts()[0][3:7] == ["4", "1", "3", "0"]
    assert [line[1:4] + line[5:] for line in reasons.tables[0].texts()] == [
        ["r1.csv", "5", "id_is_not_null", ",4"],
        ["r1.csv", "3", "id_is_unique", "'=b,2"],
        ["r1.csv", "4", "id_is_unique", "'=b,3"],
    ]
    assert {line.name: list(line.y) for line in trend.charts[0].figure.data} == {
        "id_is_not_null": [1, 1],
        "id_is_unique": [0, 2],
    }
    assert freshness.tables[0].texts()[0][4] == "4"
    _, _, reasons, *_ = run_sections(lake.root, "r2", [spec], now())
    assert reasons.tables[0].texts() == []
