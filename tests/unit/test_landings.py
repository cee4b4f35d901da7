"""What is left of landed files when a run is killed."""

from pathlib import Path

from lakeloop.ingestion.landings import landing_folder, sweep


def test_what_no_batch_needs_is_deleted_and_no_other_pipelines(tmp_path: Path) -> None:
    root = str(tmp_path)
    sweep(root, "usage")
    for pipeline in ("usage", "other"):
        folder = Path(landing_folder(root, pipeline)) / "4f2a"
        folder.mkdir(parents=True)
        (folder / "page-000001.jsonl").write_text("{}\n")
    sweep(root, "usage")
    assert list(Path(landing_folder(root, "usage")).iterdir()) == []
    assert (Path(landing_folder(root, "other")) / "4f2a/page-000001.jsonl").exists()
