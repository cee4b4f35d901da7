"""Which files are taken, in which order, when, and what becomes of them; no JVM."""

import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import RowCounts, RunContext
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files.disposal import dispose
from lakeloop.ingestion.sources.files.inspection import find_encoding, inspect
from lakeloop.ingestion.sources.files.listing import Listed, list_files, split_extension, wait_until_settled
from lakeloop.lake.file_catalog import FileCatalog, FileEntry

RUN = RunContext("run", "test", run_id="r1", user="somebody")


def spec(**changes: Any) -> FilesSource:
    declared = {"files": "drop", "formats": {"csv": {}, "parquet": {}}, "fields": ["a"], "settle": "0s"}
    return FilesSource.model_validate(declared | changes)


def drop(folder: Path, name: str, content: bytes = b"a\n1\n", modified: float = 1_000.0) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (modified, modified))
    return path


def names(files: list[Listed], folder: Path) -> list[str]:
    return [file.path.removeprefix(f"{folder}/") for file in files]


def test_files_are_taken_by_extension_and_pattern_and_hidden_ones_are_not(tmp_path: Path) -> None:
    for name in ("b.csv", "a.CSV", "sub/c.csv.gz", "z.zip", "x.txt", ".h.csv", "_t/x.csv", "sub/.d/x.csv", "p.parquet"):
        drop(tmp_path, name)
    everything = ["a.CSV", "b.csv", "p.parquet", "sub/c.csv.gz", "z.zip"]
    assert names(list_files(str(tmp_path), spec()), tmp_path) == everything
    assert names(list_files(str(tmp_path), spec(pattern="sub/*")), tmp_path) == ["sub/c.csv.gz"]


def test_files_come_by_name_or_by_time(tmp_path: Path) -> None:
    drop(tmp_path, "a.csv", modified=3_000.0)
    drop(tmp_path, "b.csv", modified=1_000.0)
    drop(tmp_path, "c.csv", modified=1_000.0)
    assert names(list_files(str(tmp_path), spec()), tmp_path) == ["a.csv", "b.csv", "c.csv"]
    assert names(list_files(str(tmp_path), spec(order="time")), tmp_path) == ["b.csv", "c.csv", "a.csv"]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="does not exist; create it"):
        list_files(str(tmp_path / "nowhere"), spec())


@pytest.mark.parametrize(
    ("name", "found"),
    [("a.csv", ("csv", "")), ("a.CSV.GZ", ("csv", "gz")), ("a.b.zip", ("zip", "zip")), ("a", ("", "")),
     ("dir.csv/x", ("", "")), ("a.gz", ("", "gz"))],
)  # fmt: skip
def test_an_extension_names_the_format_and_the_packing(name: str, found: tuple[str, str]) -> None:
    assert split_extension(name) == found


def test_a_file_that_is_still_being_written_is_left_for_later(tmp_path: Path) -> None:
    done, growing = drop(tmp_path, "done.csv"), drop(tmp_path, "growing.csv", modified=time.time())
    listed = list_files(str(tmp_path), spec())
    growing.write_bytes(b"a\n1\n2\n")
    assert names(wait_until_settled(listed, 0.2), tmp_path) == [done.name]


def test_a_file_of_a_wrong_clock_is_taken_and_waited_for_no_longer_than_others(tmp_path: Path) -> None:
    drop(tmp_path, "old.csv")
    drop(tmp_path, "ahead.csv", modified=time.time() + 10**7)
    listed = list_files(str(tmp_path), spec(order="time"))
    assert names(wait_until_settled(listed, 0.2), tmp_path) == ["old.csv", "ahead.csv"]


def inspected(tmp_path: Path, name: str, content: bytes, **changes: Any) -> Any:
    path = drop(tmp_path, name, content)
    return inspect(Listed(str(path), len(content), 1_000_000_000_000), spec(**changes), str(tmp_path))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.parquet", b"a,b\n1,2\n", "named .parquet, but does not begin like one"),
        ("a.parquet", b"", "an empty .parquet"),
        ("a.parquet", b"PAR1 and no more", "it is damaged"),
        ("a.csv", b"\x1f\x8b\x08\x00", "named .csv, but begins like a .gz"),
        ("a.csv", b"PK\x03\x04", "named .csv, but begins like a .zip"),
        ("a.csv.gz", b"a,b\n", "named .gz, but does not begin like one"),
        ("a.zip", b"a,b\n", "named .zip, but does not begin like one"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    assert said in inspected(tmp_path, name, content).refused


def test_a_file_that_cannot_be_opened_is_refused_and_the_others_are_not(tmp_path: Path) -> None:
    assert "cannot be read" in inspect(Listed(str(tmp_path / "gone.csv"), 1, 1), spec(), str(tmp_path)).refused  # type: ignore[operator]


def test_a_header_is_found_with_its_line_its_delimiter_and_the_hash_of_the_file(tmp_path: Path) -> None:
    formats = {"csv": {"delimiter": "auto"}}
    found = inspected(tmp_path, "a.csv", b'\n \n"x;y";b\n1;2\n', formats=formats)
    assert (found.header, found.header_line, found.delimiter, found.refused) == (("x;y", "b"), 3, ";", None)
    assert found.sha256 == hashlib.sha256(b'\n \n"x;y";b\n1;2\n').hexdigest()


@pytest.mark.parametrize(
    ("first", "declared", "encoding"),
    [
        (b"\xef\xbb\xbfa", "cp1252", "utf-8-sig"),
        ("a".encode("utf-16"), "utf-8", "utf-16"),
        (b"a", "cp1252", "cp1252"),
        ("ü\nö".encode(), "auto", "utf-8"),
        ("Größe;Maß\nfünf;zwölf\n".encode("cp1252") * 20, "auto", "cp1252"),
    ],
)
def test_the_encoding_is_declared_or_found(first: bytes, declared: str, encoding: str) -> None:
    found = find_encoding(first, declared)
    # Western single-byte encodings agree on these letters.
    assert found == encoding or "Größe".encode(found) == "Größe".encode(encoding)


def moved(tmp_path: Path, processed: Any, *, changed: bool = False) -> list[str]:
    path = drop(tmp_path / "in", "sub/a.csv")
    file = inspect(Listed(str(path), 4, 1_000_000_000_000), spec(), str(tmp_path))
    if changed:
        path.write_bytes(b"a\n2\n3\n")
    for _ in range(2):  # the second time changes nothing
        dispose(file, str(tmp_path / "in"), spec(processed=processed).processed)
    return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.csv*"))


def test_a_file_that_was_read_stays_moves_or_goes(tmp_path: Path) -> None:
    assert moved(tmp_path / "1", "keep") == ["in/sub/a.csv"]
    assert moved(tmp_path / "2", "delete") == []
    assert moved(tmp_path / "3", {"move": "_done"}) == ["in/_done/sub/a.csv"]
    assert moved(tmp_path / "4", {"move": str(tmp_path / "4/out")}) == ["out/sub/a.csv"]


def test_a_file_that_was_replaced_since_is_neither_moved_nor_deleted(tmp_path: Path) -> None:
    assert moved(tmp_path / "1", "delete", changed=True) == ["in/sub/a.csv"]
    assert moved(tmp_path / "2", {"move": "_done"}, changed=True) == ["in/sub/a.csv"]


def test_a_file_of_the_same_name_that_was_moved_before_is_kept_too(tmp_path: Path) -> None:
    drop(tmp_path / "in", "_done/sub/a.csv", b"a\nearlier\n")
    first, second = moved(tmp_path, {"move": "_done"})
    assert first == "in/_done/sub/a.csv"
    assert second.startswith("in/_done/sub/a.csv.")


def test_files_that_would_be_read_again_are_not_moved_there() -> None:
    with pytest.raises(ValueError, match="would be read again; begin its name with an underscore"):
        spec(processed={"move": "done"})


def entry(path: str, sha256: str = "s", outcome: Any = "read") -> FileEntry:
    return FileEntry(path, 4, 1_000, sha256, "csv", "utf-8", outcome, None, RowCounts(2, 1, 1, 0))


def test_the_catalog_knows_a_file_by_path_size_and_time_and_the_content_by_its_hash(tmp_path: Path) -> None:
    catalog = FileCatalog(str(tmp_path), "p", "owner")
    assert catalog.known().is_new("/a.csv", 4, 1_000)
    catalog.record(RUN, 0, [entry("/a.csv"), entry("/b.csv", "t")])
    catalog.record(RUN, 0, [entry("/a.csv")])  # the same batch again, after a kill
    known = catalog.known()
    assert len(catalog.rows("path")) == 2
    assert not known.is_new("/a.csv", 4, 1_000)
    assert known.is_new("/a.csv", 5, 1_000)
    assert known.is_new("/a.csv", 4, 2_000)
    assert known.other_names([("/c.csv", "s"), ("/a.csv", "s"), ("/d.csv", "u"), ("/e.csv", "u")]) == {
        "/c.csv": "/a.csv", "/e.csv": "/d.csv"
    }  # fmt: skip
    assert FileCatalog(str(tmp_path), "other", None).known().is_new("/a.csv", 4, 1_000)


def test_a_file_that_was_forgotten_is_new_again(tmp_path: Path) -> None:
    catalog = FileCatalog(str(tmp_path), "p", None)
    catalog.record(RUN, 0, [entry("/a.csv", outcome="refused")])
    assert not catalog.known().is_new("/a.csv", 4, 1_000)
    catalog.record(RUN, 1, [entry("/a.csv", outcome="forgotten")])
    assert catalog.known().is_new("/a.csv", 4, 1_000)
    catalog.record(RUN, 2, [entry("/a.csv", outcome="read")])
    assert not catalog.known().is_new("/a.csv", 4, 1_000)
