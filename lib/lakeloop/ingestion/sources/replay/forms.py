"""How a quarantined row came: the format that its file has today, and the header that its file had then."""

import csv as csv_module
import io
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lakeloop.core.errors import ConfigError
from lakeloop.ingestion.source_specs import (
    CdcSource,
    JdbcSource,
    JoinSource,
    KafkaSource,
    QuerySource,
    RestSource,
    TablesSource,
)
from lakeloop.ingestion.source_specs.files import (
    AnyFormat,
    AvroFormat,
    CsvFormat,
    ExcelFormat,
    FilesSource,
    OrcFormat,
    ParquetFormat,
)
from lakeloop.ingestion.sources.files.inspection import LOOKED_AT, Inspected, find_encoding
from lakeloop.ingestion.sources.files.listing import stat_files
from lakeloop.ingestion.sources.files.packing import BREAKS, BombError, parts_of
from lakeloop.ingestion.sources.files.reader import files_of, route_of
from lakeloop.ingestion.sources.files.sheets import sheet_records
from lakeloop.ingestion.sources.files.text_records import lines_of
from lakeloop.ingestion.sources.headers import find_header, sniff_delimiter
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.ledger import Ledger
from lakeloop.lake.storage import filesystem

Place = tuple[int, str]  # the batch that a row first came in with, and its origin


@dataclass(frozen=True)
class Form:
    """How originals are parsed: lines by Spark, typed `columns`, or one by one: a `record`, or one of an `api`.

    A `message` is left to the source that it came from.
    """

    way: Literal["csv", "jsonl", "columns", "record", "api", "message"]
    extension: str = ""
    header: tuple[str, ...] = ()
    delimiter: str = ""


def require_replayable(spec: PipelineSpec) -> None:
    """Raise ConfigError for a pipeline whose quarantined rows wait for nothing, or for a later change of their row."""
    if isinstance(spec.source, CdcSource):
        raise ConfigError(
            f"{spec.pipeline}: a change in quarantine is not replayed, since its row may have changed again; mend the "
            "rule and update the row at the source, which comes as a change, or declare another name as the slot, "
            "which reads the whole table anew"
        )
    if spec.has_changes:
        raise ConfigError(
            f"{spec.pipeline}: a change in quarantine is not replayed, since its row may have changed again; mend the "
            f"rule and `lakeloop stream reset {spec.pipeline}`, after which the next run reads the whole tables anew"
        )
    require_waiting(spec)


def require_waiting(spec: PipelineSpec) -> None:
    """Raise ConfigError for a pipeline whose rows come again by themselves, so that none of them waits."""
    if isinstance(spec.source, QuerySource) or spec.sink.is_replaced:
        raise ConfigError(
            f"{spec.pipeline}: each run replaces its rows and judges all of them, so none waits for a decision; mend "
            f"the query or the rule, then `lakeloop run {spec.pipeline}`"
        )


def form_of_source(source: object) -> Form | None:
    """The form of all rows of a database, an API, topics, tables or a join; None for files, which have one each."""
    if isinstance(source, KafkaSource):
        return Form("message")
    if isinstance(source, JdbcSource | JoinSource | TablesSource):
        return Form("columns")
    return Form("api") if isinstance(source, RestSource) else None


def forms_of(places: Iterable[Place], pipeline: str, source: FilesSource, ledger: Ledger) -> dict[Place, Form]:
    """The forms of rows of files, without those of files whose format or header is not known (any more)."""
    wanted: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for batch_id, origin in places:
        wanted[batch_id][origin.split("!/")[0]].append(origin)
    found: dict[Place, Form] = {}
    for batch_id, plan in ledger.plans(pipeline, list(wanted)):
        for file in files_of(plan) if plan.kind != "replay" else ():
            for origin in wanted[batch_id].get(file.path, ()):
                if form := _form(file, origin.removeprefix(file.path).removeprefix("!/"), source):
                    found[batch_id, origin] = form
    return found


def _form(file: Inspected, member: str, source: FilesSource) -> Form | None:
    extension = member.rsplit(".", 1)[-1].lower() if member else file.extension
    declared = source.formats.by_extension.get(extension)
    if declared is None:
        return None
    if isinstance(declared, ParquetFormat | OrcFormat | AvroFormat):
        return Form("columns", extension)
    way = route_of(file, source.formats).way
    if isinstance(declared, CsvFormat | ExcelFormat):
        header, delimiter = file.header, file.delimiter
        if isinstance(declared, CsvFormat) and header:
            header, delimiter = _header_today(file, declared)
        elif not header:
            header, delimiter = _header_inside(file, member, declared, source)
        return Form("csv" if way == "csv" else "record", extension, header, delimiter) if header else None
    return Form("jsonl" if way == "jsonl" else "record", extension)


def _header_today(file: Inspected, declared: CsvFormat) -> tuple[tuple[str, ...], str]:
    """The header as the delimiter that is declared today divides it."""
    text = io.StringIO()
    csv_module.writer(text, delimiter=file.delimiter, quotechar=declared.quote, lineterminator="").writerow(file.header)
    line = text.getvalue()
    delimiter = sniff_delimiter(line, declared.quote) if declared.delimiter == "auto" else declared.delimiter
    if delimiter == file.delimiter:
        return file.header, delimiter
    line = file.delimiter.join(file.header)
    return find_header(line, delimiter, declared.quote), delimiter


def _header_inside(
    file: Inspected, member: str, declared: AnyFormat, source: FilesSource
) -> tuple[tuple[str, ...], str]:
    """The header of a packed table or a sheet, which no plan has, from the file as long as it lies there unchanged."""
    nothing: tuple[tuple[str, ...], str] = ((), "")
    if next(stat_files([file.listed])) != file.listed:
        return nothing
    system, path = filesystem(file.path)
    try:
        with system.open_input_file(path) as stream:
            for part in parts_of(stream, file.packing, file.size, source.limits):
                if part.name != member or part.refused:
                    continue
                if isinstance(declared, ExcelFormat):
                    first = next(sheet_records(part.stream, declared, source.limits), None)
                    return (tuple(first.values), "") if first else nothing
                assert isinstance(declared, CsvFormat)
                assert isinstance(part.stream, io.BufferedReader)
                encoding = find_encoding(part.stream.peek(LOOKED_AT)[:LOOKED_AT], declared.encoding)
                line = next(lines_of(part.stream, encoding, source.limits.record_bytes), (0, "", None))[1]
                auto = declared.delimiter == "auto"
                delimiter = sniff_delimiter(line, declared.quote) if auto else declared.delimiter
                return find_header(line, delimiter, declared.quote), delimiter
    except (BombError, *BREAKS):
        return nothing
    return nothing
