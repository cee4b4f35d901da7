"""Files dropped into a folder, each read once."""

import csv as csv_module
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

from pyarrow import fs
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core import logs
from lakeloop.core.errors import SourceError
from lakeloop.ingestion.source_spec import CsvFormat, FilesSource
from lakeloop.ingestion.sources.protocol import POSITION, Extract, Progress
from lakeloop.ingestion.sources.records import CORRUPT, form_findings, parse_csv, parse_json, parse_xml
from lakeloop.ingestion.sources.text_lines import literal_path, read_lines
from lakeloop.lake.ledger import Plan
from lakeloop.lake.storage import filesystem

log = logs.get(__name__)
Header = tuple[tuple[str, ...], int]


@dataclass(frozen=True)
class FilesReader:
    """Reads the files of a folder whose extension is declared. A file replaced under its name is a new file."""

    spark: SparkSession
    folder: str
    spec: FilesSource

    def plan(self, finished: Sequence[Plan], progress: Progress) -> Plan | None:
        """All files that no finished batch has read."""
        taken = {tuple(file) for plan in finished for file in plan.details["files"]}
        found = [file for file in self._listed() if file not in taken]
        if not found:
            return None
        empty = sum(size == 0 for _, size, _ in found)
        summary = f"{len(found)} new files" + (f", {empty} of them empty" if empty else "")
        progress(summary)
        return Plan({"files": found}, summary)

    def read(self, plan: Plan) -> Extract:
        """The records of the planned files, by format and, for CSV, by header.

        A file that was replaced since is left to the next plan. Raises SourceError for one that is gone.
        """
        by_format: dict[str, list[str]] = defaultdict(list)
        for path in self._unchanged(plan):
            by_format[path.rsplit(".", 1)[-1].lower()].append(path)
        frames = [frame for extension, paths in by_format.items() for frame in self._parsed(extension, paths)]
        if not frames:
            empty = self.spark.createDataFrame([], f"_text string, {POSITION} struct<origin:string,record:bigint>")
            frames = [parse_json(empty, self.spec.fields)]
        return Extract(reduce(DataFrame.unionByName, frames), form_findings())

    def release(self, plan: Plan) -> None:
        """Files stay where they are."""

    def _listed(self) -> Iterator[tuple[str, int, int]]:
        system, path = filesystem(self.folder)
        if system.get_file_info(path).type is not fs.FileType.Directory:
            raise SourceError(f"the folder {self.folder} does not exist; create it or mend the connection's path")
        formats = {name for name in ("csv", "jsonl", "xml") if getattr(self.spec.formats, name)}
        prefix = self.folder[: -len(path)] if self.folder.endswith(path) else ""
        for info in sorted(system.get_file_info(fs.FileSelector(path, recursive=True)), key=lambda info: info.path):
            inside = info.path.removeprefix(path).strip("/").split("/")
            if info.is_file and info.extension.lower() in formats and not any(part[0] in "._" for part in inside):
                if ":" in info.base_name and isinstance(system, fs.LocalFileSystem):
                    raise SourceError(f"{info.path}: Spark cannot read a local file with ':' in its name; rename it")
                yield prefix + info.path, info.size, info.mtime_ns

    def _unchanged(self, plan: Plan) -> Iterator[str]:
        for path, size, modified in plan.details["files"]:
            system, inner = filesystem(path)
            info = system.get_file_info(inner)
            if not info.is_file:
                raise SourceError(f"{path} was planned but is gone before it was read; put it back")
            if (info.size, info.mtime_ns) == (size, modified):
                yield path
            else:
                log.warning("file was replaced, the next batch reads it", file=path)

    def _parsed(self, extension: str, paths: list[str]) -> Iterator[DataFrame]:
        formats = self.spec.formats
        if extension == "csv" and formats.csv:
            for (header, line), files in self._by_header(paths, formats.csv).items():
                lines = read_lines(self.spark, {path: path for path in files}).where(F.col(POSITION)["record"] > line)
                yield parse_csv(lines, header, self.spec.fields, formats.csv)
        elif extension == "jsonl":
            yield parse_json(read_lines(self.spark, {path: path for path in paths}), self.spec.fields)
        elif extension == "xml" and formats.xml:
            documents = self.spark.read.format("binaryFile").load([literal_path(path) for path in paths])
            yield parse_xml(documents, formats.xml.row_tag, self.spec.fields)

    def _by_header(self, paths: list[str], csv: CsvFormat) -> dict[Header, list[str]]:
        groups: dict[Header, list[str]] = defaultdict(list)
        for path in paths:
            header, line = self._header(path, csv)
            if header:
                groups[header, line].append(path)
            else:
                log.warning("file is empty", file=path)
        return groups

    def _header(self, path: str, csv: CsvFormat) -> Header:
        """The column names and the line they stand on, the first that is not blank; no names in a blank file."""
        system, inner = filesystem(path)
        with system.open_input_stream(inner) as stream:
            lines = re.split("\r\n|\r|\n", stream.read(1 << 20).decode("utf-8-sig", "replace"))
        number, first = next(((n, line) for n, line in enumerate(lines, start=1) if line.strip(" ")), (0, ""))
        try:
            cells = next(csv_module.reader([first], delimiter=csv.delimiter, quotechar=csv.quote), [])
        except csv_module.Error:  # a cell longer than any name
            cells = [first[:100]]
        return _distinct(cell.strip() for cell in cells), number


def _distinct(names: Iterator[str]) -> tuple[str, ...]:
    """Header names made usable: a repeated or empty one gets its position, so that its cells are kept as rescued."""
    taken, distinct = {"", CORRUPT}, []  # in lower case, as Spark compares names
    for position, given in enumerate(names, start=1):
        name = given
        while name.lower() in taken:
            name = f"{name}_{position}"
        taken.add(name.lower())
        distinct.append(name)
    return tuple(distinct)
