"""Files: what lies in a folder, looked into, read once, and put where it is declared to go.

Enters: a folder and a `FilesSource`. Leaves: a plan of inspected files, and their records as text or typed columns.
`listing` → `inspection` → `reader`, which sends each file one of three ways: lines that Spark reads (`numbering`, then
`line_parsers`), columns that Spark reads (`columnar`), or everything else record by record in Python (`unpack`, which
opens `packing` and hands the stream to `text_records`, `json_documents`, `xml_documents` or `sheets`). The columns
are those of a schema: `looking` sees what files have, `schemas.planning` decides, `conforming` casts and finds.
"""

from lakeloop.ingestion.sources.files.reader import FilesReader

__all__ = ["FilesReader"]
