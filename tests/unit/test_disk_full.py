"""How a full disk is told from other failures, and named; `make drill-files` has real ones."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from deltalake.exceptions import CommitFailedError, DeltaError

from lakeloop.core.disk import full_disk, is_full, spill_folders
from lakeloop.core.errors import DiskFullError, StorageError, TableError
from lakeloop.lake.storage_failures import storage_explained

LIB = Path(__file__).parents[2] / "lib"


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError("Generic LocalFileSystem error\n \x1b[31m↳\x1b[0m No space left on device (os error 28)"),
        DeltaError("Failed to parse parquet: External: No space left on device (os error 28)"),
        CommitFailedError("No space left on device"),
    ],
)
def test_a_full_disk_is_named(tmp_path: Path, failure: Exception) -> None:
    said = rf"the disk of {tmp_path} is full \([\d,]+ bytes free\); free some space"
    with pytest.raises(DiskFullError, match=said), storage_explained(f"file://{tmp_path}"):
        raise failure


@pytest.mark.parametrize("failure", [CommitFailedError("conflict"), PermissionError(errno.EACCES, "denied")])
def test_other_failures_of_a_folder_stay_what_they_are(tmp_path: Path, failure: Exception) -> None:
    with pytest.raises(type(failure)) as raised, storage_explained(str(tmp_path)):
        raise failure
    assert raised.value is failure


def test_what_a_store_refuses_is_one_line_without_colours() -> None:
    said = "Generic S3 error\n \x1b[31m↳\x1b[0m Error performing GET\n \x1b[31m↳\x1b[0m 403 Forbidden\n"
    found = r"^s3a://lake/ops cannot be reached: 403 Forbidden; check"
    with pytest.raises(StorageError, match=found) as raised, storage_explained("s3a://lake/ops"):
        raise OSError(said)
    assert "\x1b" not in str(raised.value)


def test_an_error_in_words_is_left_as_it_is() -> None:
    with pytest.raises(TableError, match=r"^No space left on device$"), storage_explained("s3a://lake"):
        raise TableError("No space left on device")


def test_the_nearest_folder_that_exists_is_named(tmp_path: Path) -> None:
    assert full_disk([f"{tmp_path}/not/there", "s3a://lake"]).startswith(f"the disk of {tmp_path} is full")
    assert full_disk(["s3a://lake"]) == "a disk is full, of this machine or of an executor"
    assert not is_full("No such file or directory")


def test_spark_spills_where_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARK_LOCAL_DIRS", raising=False)
    assert spill_folders("/a,/b") == ["/a", "/b"]
    assert len(spill_folders(None)) == 1
    monkeypatch.setenv("SPARK_LOCAL_DIRS", "/c")
    assert spill_folders("/a,/b") == ["/c"]


def test_a_log_on_a_full_disk_says_so_once_and_the_run_goes_on(tmp_path: Path) -> None:
    """/dev/full is the kernel's own full disk."""
    (tmp_path / "log").symlink_to("/dev/full")
    script = (
        "import sys; from pathlib import Path; from lakeloop.core import logs; logs.configure(Path(sys.argv[1]));"
        "log = logs.get('lakeloop.x'); log.info('one'); log.info('two'); print('went on')"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "log")]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(LIB)})
    assert ended.stdout == "went on\n"
    assert ended.stderr == f"The disk of {tmp_path}/log is full; lines are missing in this log.\n"
