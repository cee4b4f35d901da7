"""Files dropped into a folder, each read once."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakeloop.core import logs
from lakeloop.core.errors import SourceError
from lakeloop.core.run_record import RowCounts
from lakeloop.ingestion.schemas.columns import PlannedSchema
from lakeloop.ingestion.schemas.planning import SchemaPlanner
from lakeloop.ingestion.source_specs.files import (
    AvroFormat,
    CsvFormat,
    FilesSource,
    Formats,
    JsonLinesFormat,
    OrcFormat,
    ParquetFormat,
)
from lakeloop.ingestion.sources.backfill import Again, Asked
from lakeloop.ingestion.sources.files import disposal
from lakeloop.ingestion.sources.files.again import part_of
from lakeloop.ingestion.sources.files.columnar import read_columns, union_by_name
from lakeloop.ingestion.sources.files.conforming import conform_to_schema
from lakeloop.ingestion.sources.files.inspection import Inspected, inspect_files
from lakeloop.ingestion.sources.files.listing import list_files, stat_files, wait_until_settled
from lakeloop.ingestion.sources.files.looking import Looker
from lakeloop.ingestion.sources.files.numbering import WHOLE, read_lines, read_whole
from lakeloop.ingestion.sources.files.probing import probe_folder
from lakeloop.ingestion.sources.files.unpack import Unpacker, unpack
from lakeloop.ingestion.sources.files.unreadable import find_unreadable
from lakeloop.ingestion.sources.line_parsers import parse_csv, parse_json
from lakeloop.ingestion.sources.probing import Check
from lakeloop.ingestion.sources.protocol import POSITION, Ended, Extract, Progress
from lakeloop.lake.file_catalog import FileCatalog, FileEntry, KnownFiles
from lakeloop.lake.ledger import Plan
from lakeloop.lake.schema_versions import SchemaVersions

log = logs.get(__name__)
UTF_8 = ("utf-8", "utf-8-sig")
COLUMNAR = ("parquet", "orc", "avro")


@dataclass(frozen=True)
class Route:
    """How files are read together: by Spark as `csv`, `jsonl`, `parquet`, `orc` or `avro`, else unpacked in Python.

    `whole` files of lines are a row each before they are cut.
    """

    way: str
    header: tuple[str, ...] = ()
    header_line: int = 0
    csv: CsvFormat | None = None
    schema: str = ""
    lacks: tuple[str, ...] = ()
    tidy: bool = False
    quotes: bool = True
    whole: bool = False


@dataclass(frozen=True)
class FilesReader:
    """Reads the files of a folder that the catalog does not know yet. A file replaced under its name is a new file.

    `texts` are the columns that transforms read as text, of which no type is inferred.
    """

    spark: SparkSession
    folder: str
    spec: FilesSource
    catalog: FileCatalog
    texts: frozenset[str] = frozenset()

    def plan(self, _last: Plan | None, progress: Progress, /) -> Plan | None:
        """The next files, looked into. What cannot be read as a whole is in the plan too, and says why.

        A file that could not be opened is tried again each time, and is in a plan again once it can be.
        """
        progress("listing files")
        known = self.catalog.known()
        listed = list_files(self.folder, self.spec)
        chosen = [file for file in listed if known.is_new(*file)][: self.spec.files_per_batch]
        settled = wait_until_settled(chosen, self.spec.settle.total_seconds())
        barred = [file for file in listed if known.was_barred(*file)]
        opened = [file for file in inspect_files(barred, self.spec, progress, self.folder) if file.sha256]
        inspected = [*opened, *inspect_files(settled, self.spec, progress, self.folder)]
        there = stat_files([file.listed for file in inspected])
        now = [file for file, found in zip(inspected, there, strict=True) if found == file.listed]
        if not now:
            return None
        same = known.other_names([(file.path, file.sha256) for file in now])
        parts = [
            f"{len(now)} new files" if len(now) != 1 else "1 new file",
            _counted(sum(file.size == 0 for file in now), "empty"),
            _counted(sum(file.refused is not None for file in now), "refused"),
            _counted(len(same), "with the content of another"),
            _counted(len(opened), "that could not be opened before"),
            _counted(len(chosen) + len(opened) - len(now), "still being written, left for the next run"),
        ]
        return self._planned(now, ", ".join(filter(None, parts)))

    def plan_again(self, _last: Plan, asked: Asked, begin: Any, progress: Progress, /) -> Again | None:
        """The next files of the part, at most `files_per_batch`, as they lie there now; new ones are left to `plan`."""
        progress("listing files")
        files = part_of(asked, list_files(self.folder, self.spec), self.catalog.known(), self.folder)
        left = [file for file in files if begin is None or file.path > begin]
        chosen = left[: self.spec.files_per_batch]
        if not chosen:
            return None
        inspected = inspect_files(chosen, self.spec, progress, self.folder)
        summary = f"{len(chosen):,} files" if len(chosen) != 1 else "1 file"
        goes_on = len(left) - len(chosen)
        return Again(self._planned(inspected, summary), chosen[-1].path if goes_on else None, goes_on)

    def read(self, plan: Plan) -> Extract:
        """The records of the planned files. A file that was replaced since is left to the next plan.

        Raises SourceError for one that is gone.
        """
        schema = PlannedSchema.of_json(plan.details["schema"])
        fields = schema.schema.names
        frames = [self._frame(route, files, schema) for route, files in self._routes(plan).items()]
        if not frames:
            empty = self.spark.createDataFrame([], f"_text string, {POSITION} struct<origin:string,record:bigint>")
            frames = [parse_json(empty, fields)]
        return conform_to_schema(union_by_name(frames, fields), schema, self.spec.schema_rules)

    def finish(self, ended: Ended) -> None:
        """Enter schema and files into their catalogs, then do with the files what `processed` says."""
        schema = PlannedSchema.of_json(ended.plan.details["schema"])
        self._schemas.record(schema, ended.run)
        entries = entries_of(ended.plan, ended.by_origin, self.catalog.known())
        self.catalog.record(ended.run, ended.batch_id, entries)
        for file in files_of(ended.plan):
            if file.refused is None:
                disposal.dispose(file, self.folder, self.spec.processed)

    def without_unreadable(self, plan: Plan) -> Plan | None:
        """The plan with each columnar file refused whose pages Spark cannot read; None where it reads them all."""
        broken: dict[str, str] = {}
        schema = PlannedSchema.of_json(plan.details["schema"])
        for route, files in self._routes(plan).items():
            if route.way in COLUMNAR:
                broken |= find_unreadable(files, partial(self._frame, route, schema=schema))
        if not broken:
            return None
        files = [replace(file, refused=broken.get(file.path, file.refused)) for file in files_of(plan)]
        summary = f"{plan.summary}, {len(broken)} refused while they were read"
        return Plan({**plan.details, "files": [dict(vars(file)) for file in files]}, summary)

    def release(self, plan: Plan) -> None:
        """Nothing is held."""

    def probe(self) -> Iterator[Check]:
        """Look into the folder and its newest file."""
        return probe_folder(self.folder, self.spec, self.catalog.known())

    @property
    def _schemas(self) -> SchemaPlanner:
        return SchemaPlanner(self.spec, SchemaVersions(self.catalog.root, self.catalog.pipeline), self.texts)

    def _planned(self, files: Sequence[Inspected], summary: str) -> Plan:
        schema = self._schemas.plan(lambda values: Looker(self.spec, values).look(files))
        return Plan({"files": [dict(vars(file)) for file in files], "schema": schema.as_json}, summary)

    def _routes(self, plan: Plan) -> dict[Route, list[Inspected]]:
        lacks = PlannedSchema.of_json(plan.details["schema"]).lacks
        routes: dict[Route, list[Inspected]] = defaultdict(list)
        for file in self._unchanged(plan):
            routes[replace(route_of(file, self.spec.formats), lacks=lacks.get(file.path, ()))].append(file)
        return routes

    def _frame(self, route: Route, files: Sequence[Inspected], schema: PlannedSchema) -> DataFrame:
        paths, fields, aliases = [file.path for file in files], schema.schema.names, schema.aliases
        if route.way == "unpack":
            unpacker = Unpacker(
                self.spec.formats.by_extension, tuple(fields), self.spec.limits, aliases, lacks=route.lacks
            )
            return unpack(self.spark, [(f.path, f.packing, f.encoding, f.extension) for f in files], unpacker)
        if route.way in ("csv", "jsonl"):
            lines = (
                read_whole(self.spark, paths) if route.whole else read_lines(self.spark, {path: path for path in paths})
            )
            if route.csv is None:
                return parse_json(lines, fields, aliases, route.lacks, is_utf8=route.tidy)
            below = lines.where(F.col(POSITION)["record"] > route.header_line)
            return parse_csv(below, route.header, fields, route.csv, aliases, quotes=route.quotes, is_utf8=route.tidy)
        return read_columns(self.spark, route.way, paths, fields, aliases)

    def _unchanged(self, plan: Plan) -> Iterator[Inspected]:
        planned = files_of(plan)
        for file, now in zip(planned, stat_files([file.listed for file in planned]), strict=True):
            if file.refused is not None or file.size == 0:
                continue
            if now is None:
                raise SourceError(f"{file.path} was planned but is gone before it was read; put it back")
            if now != file.listed:
                log.warning("file was replaced, the next batch reads it", file=file.path)
            elif not self._is_blank(file):
                yield file

    def _is_blank(self, file: Inspected) -> bool:
        """Whether a file that has no header has no row either."""
        is_csv = isinstance(self.spec.formats.by_extension.get(file.extension), CsvFormat)
        return is_csv and file.encoding in UTF_8 and not file.packing and not file.header


def route_of(file: Inspected, formats: Formats) -> Route:
    """How a file is read; files of one route are read together."""
    declared = formats.by_extension.get(file.extension)
    if file.packing or declared is None:
        return Route("unpack")
    if isinstance(declared, ParquetFormat | OrcFormat | AvroFormat):
        return Route(type(declared).__name__.removesuffix("Format").lower(), schema=file.schema)
    by_line = file.encoding in UTF_8 and not file.unwieldy
    whole = file.tidy and file.encoding == "utf-8" and file.size <= WHOLE
    if isinstance(declared, CsvFormat) and by_line and not declared.multiline:
        csv = declared.model_copy(update={"delimiter": file.delimiter})
        return Route("csv", file.header, file.header_line, csv, tidy=file.tidy, quotes=file.quotes, whole=whole)
    if isinstance(declared, JsonLinesFormat) and by_line:
        return Route("jsonl", tidy=file.tidy, whole=whole)
    return Route("unpack")


def files_of(plan: Plan) -> list[Inspected]:
    """The files of a plan."""
    return [Inspected(**{**file, "header": tuple(file["header"])}) for file in plan.details["files"]]


def entries_of(plan: Plan, by_origin: Mapping[str, RowCounts], known: KnownFiles) -> list[FileEntry]:
    """What the catalog says of the files of a plan; the members of an archive count under its path."""
    files, counts = files_of(plan), defaultdict[str, RowCounts](RowCounts)
    for origin, found in by_origin.items():
        counts[origin.split("!/")[0]] += found
    same = known.other_names([(file.path, file.sha256) for file in files])
    version = PlannedSchema.of_json(plan.details["schema"]).schema.version if "schema" in plan.details else None
    return [
        FileEntry(
            file.path, file.size, file.modified, file.sha256, file.extension, file.encoding,
            "refused" if file.refused else "read", file.refused, counts[file.path], same.get(file.path), version,
        )
        for file in files
    ]  # fmt: skip


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number else ""
