"""Views: the good rows of a table that only grows, without a second copy of them.

`<root>/silver/orders/_view.json` says which table records the rows, and up to which batch they have been accepted.
"""

import json
from dataclasses import asdict, dataclass

from pyarrow import fs

from lakeloop.core.errors import DamageError
from lakeloop.lake.storage import filesystem
from lakeloop.lake.storage_failures import storage_explained

FILE = "_view.json"


@dataclass(frozen=True)
class View:
    """The rows of `record_table` whose verdict is good, of the batches 0 to `accepted`, without Lakeloop's columns."""

    record_table: str
    accepted: int


def find_view(path: str) -> View | None:
    """The view in a folder or URI, if there is one. Raises DamageError where its file is not whole."""
    system, inner = filesystem(f"{path}/{FILE}")
    with storage_explained(path):
        if system.get_file_info(inner).type is not fs.FileType.File:
            return None
        with system.open_input_stream(inner) as stream:
            text = stream.read()
    try:
        return View(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise DamageError(f"the view {path}/{FILE} is damaged; run `lakeloop repair`, which writes it anew") from error


def write_view(path: str, view: View) -> None:
    """Create a view, or let it show more batches. Readers see the old one or the new one, never a part."""
    system, inner = filesystem(path)
    with storage_explained(path):
        system.create_dir(inner, recursive=True)
        with system.open_output_stream(f"{inner}/{FILE}.new") as stream:
            stream.write(json.dumps(asdict(view)).encode())
        system.move(f"{inner}/{FILE}.new", f"{inner}/{FILE}")
