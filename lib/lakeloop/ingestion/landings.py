"""What sources land for a batch, and what is left of it when a run is killed before it plans or after it has ended."""

import datetime as dt

from pyarrow import fs

from lakeloop.core import logs
from lakeloop.core.run_record import now
from lakeloop.lake.storage import filesystem
from lakeloop.lake.storage_failures import storage_explained

log = logs.get(__name__)
OLD = dt.timedelta(days=1)  # where no turns keep processes apart, one may be landing right now


def landing_folder(root: str, pipeline: str) -> str:
    """Where a pipeline's source lands what it has fetched, a folder per plan."""
    return f"{root}/_landing/{pipeline}"


def sweep(root: str, pipeline: str) -> None:
    """Delete what no batch needs, asked before a plan is made: no batch is open then, and no plan names a folder.

    In a store without turns only what has not been written to for a day goes.
    """
    folder = landing_folder(root, pipeline)
    system, path = filesystem(folder)
    with storage_explained(folder):
        if system.get_file_info(path).type is not fs.FileType.Directory:
            return
        for each in system.get_file_info(fs.FileSelector(path)):
            if each.type is fs.FileType.Directory and ("://" not in root or _is_old(system, each.path)):
                log.info("landed files of no batch are deleted", folder=each.path)
                system.delete_dir(each.path)


def _is_old(system: fs.FileSystem, path: str) -> bool:
    files = system.get_file_info(fs.FileSelector(path, recursive=True))
    written = [each.mtime for each in files if each.mtime is not None]
    return bool(written) and max(written) < now() - OLD
