"""Views: the good rows of a table that only grows, without a second copy of them.

`<root>/silver/orders/_view.json` says which table records the rows, up to which batch they have been accepted, and of
several tables of one record which rows and columns are its own.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from pyarrow import fs

from lakeloop.core.errors import DamageError
from lakeloop.lake.storage import filesystem, write_whole
from lakeloop.lake.storage_failures import storage_explained

REFERENCE = re.compile(r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")  # of a table or a view
FILE = "_view.json"
ROUTE = "_route"  # string, in a record of several tables: the one that a row goes to, NULL where none takes it


@dataclass(frozen=True)
class View:
    """The rows of `record_table` whose verdict is good, of the batches 0 to `accepted`, without Lakeloop's columns.

    With `route` those that take it; `columns` are the ones that are shown, all where none are named.
    """

    record_table: str
    accepted: int
    route: str | None = None
    columns: tuple[str, ...] = ()

    @property
    def condition(self) -> str:
        """Its rows among those of the record, in the SQL of Spark and of DataFusion."""
        own = "" if self.route is None else f" AND {ROUTE} = '{self.route}'"
        return f"_verdict = 'good' AND _batch_id <= {int(self.accepted)}{own}"

    def shown(self, recorded: Iterable[str]) -> list[str]:
        """Its columns, of those that the record has."""
        there = [name for name in recorded if not name.startswith("_")]
        return [name for name in self.columns if name in there] if self.columns else there


def find_view(path: str) -> View | None:
    """The view in a folder or URI, if there is one. Raises DamageError where its file is not whole."""
    system, inner = filesystem(f"{path}/{FILE}")
    with storage_explained(path):
        if system.get_file_info(inner).type is not fs.FileType.File:
            return None
        with system.open_input_stream(inner) as stream:
            text = stream.read()
    try:
        said = json.loads(text)
        return View(**said | {"columns": tuple(said.get("columns", ()))})
    except (ValueError, TypeError, AttributeError) as error:
        raise DamageError(f"the view {path}/{FILE} is damaged; run `lakeloop repair`, which writes it anew") from error


def write_view(path: str, view: View) -> None:
    """Create a view, or let it show more batches. Readers see the old one or the new one, never a part."""
    with storage_explained(path):
        write_whole(f"{path}/{FILE}", json.dumps(asdict(view)).encode())
