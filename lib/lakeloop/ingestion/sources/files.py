"""Files dropped into a folder, each read once."""

import csv as csv_module
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

from pyarrow import fs
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core import logs
from lakeloop.core.errors import SourceError
from lakeloop.ingestion.sources.protocol import POSITION, Extract, Progress
from lakeloop.ingestion.sources.records import form_findings, parse_csv, parse_json, parse_xml
from lakeloop.ingestion.sources.text_lines import literal_path, read_lines
from lakeloop.ingestion.spec import CsvFormat, FilesSource
from lakeloop.lake.ledger import Plan
from lakeloop.lake.storage import filesystem

log = logs.get(__name__)


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
        """The records of the planned files, by format and, for CSV, by header."""
        by_format: dict[str, list[str]] = defaultdict(list)
        for path, *_ in plan.details["files"]:
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
            readable = info.is_file and info.extension.lower() in formats and info.base_name[0] not in "._"
            if readable:
                yield prefix + info.path, info.size, info.mtime_ns

    def _parsed(self, extension: str, paths: list[str]) -> Iterator[DataFrame]:
        formats = self.spec.formats
        if extension == "csv" and formats.csv:
            for header, files in self._by_header(paths, formats.csv).items():
                lines = read_lines(self.spark, {path: path for path in files}).where(F.col(POSITION)["record"] > 1)
                yield parse_csv(lines, header, self.spec.fields, formats.csv)
        elif extension == "jsonl":
            yield parse_json(read_lines(self.spark, {path: path for path in paths}), self.spec.fields)
        elif extension == "xml" and formats.xml:
            documents = self.spark.read.format("binaryFile").load([literal_path(path) for path in paths])
            yield parse_xml(documents, formats.xml.row_tag, self.spec.fields)

    def _by_header(self, paths: list[str], csv: CsvFormat) -> dict[tuple[str, ...], list[str]]:
        groups: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for path in paths:
            header = self._header(path, csv)
            if header:
                groups[header].append(path)
            else:
                log.warning("file is empty", file=path)
        return groups

    def _header(self, path: str, csv: CsvFormat) -> tuple[str, ...]:
        system, inner = filesystem(path)
        with system.open_input_stream(inner) as stream:
            first = stream.read(1 << 20).split(b"\n", 1)[0].decode("utf-8-sig", "replace").rstrip("\r")
        cells = next(csv_module.reader([first], delimiter=csv.delimiter, quotechar=csv.quote), [])
        return _distinct(cell.strip() for cell in cells)


def _distinct(names: Iterator[str]) -> tuple[str, ...]:
    """Header names made usable: a repeated or empty one gets its position, so that its cells are kept as rescued."""
    seen: list[str] = []
    for position, name in enumerate(names, start=1):
        seen.append(name if name and name not in seen else f"{name}_{position}")
    return tuple(seen)
