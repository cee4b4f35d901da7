"""Files far larger than memory should hold, made, read in one batch, and the peak of memory printed as JSON.

A process of its own, since peaks of memory never sink: `python tests/corpus/large_batch.py FOLDER`.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lakeloop.core.run_record import RunContext
from lakeloop.core.session import build_session, load_properties
from lakeloop.ingestion.pipeline import Pipeline
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files import FilesReader
from lakeloop.ingestion.spec import PipelineSpec
from lakeloop.lake.file_catalog import FileCatalog
from lakeloop.lake.tables import Lake

CONF = Path(__file__).parents[2] / "conf"
MIB = 1 << 20
JAVA = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"  # else the peak tells when the collector chose to run
LARGE = 100
FORMATS = {"csv": {}, "jsonl": {}, "json_array": {}, "xml": {"row_tag": "c"}}

CELL = "y" * (4 * MIB)
FILES = {  # before, what is repeated to 100 MiB, after
    "line.csv": ("a,b\n1,x\n2,", "y", "\n3,z\n"),
    "line.jsonl": ('{"a": 1}\n{"a": "', "y", '"}\n{"a": 3}\n'),
    "line.json": ('[{"a": 1}, {"a": "', "y", '"}]'),
    "deep.json": ('[{"a": 1}, ', "[", ""),
    "header.csv": ("", "y", "\n1,x\n"),
    "text.xml": ("<r>\n<c><a>1</a></c>\n<c><a>", "y", "</a></c></r>"),
    "cells.csv": ("a,b\n1,x\n", f"2,{CELL}\n", ""),
    "cells.jsonl": ('{"a": 1, "b": "x"}\n', f'{{"a": 2, "b": "{CELL}"}}\n', ""),
    "cells.json": ('[{"a": 1, "b": "x"}', f', {{"a": 2, "b": "{CELL}"}}', "]"),
    "siblings.xml": ("<r>\n<c><a>1</a></c>\n", "<d/>", "</r>"),
}


def write(folder: Path) -> None:
    """Write the files a MiB at a time."""
    folder.mkdir()
    for name, (before, middle, after) in FILES.items():
        with (folder / name).open("w") as file:
            file.write(before)
            piece = middle * max(1, MIB // len(middle))
            for _ in range(LARGE * MIB // len(piece)):
                file.write(piece)
            file.write(after)


def peaks() -> Iterator[tuple[str, int]]:
    """Peak of resident memory in MiB of this process and of its Java process."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # others end meanwhile
            lines = (process / "status").read_text().splitlines()
            status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
            is_java = int(status["PPid"]) == os.getpid() and status["Name"] == "java"
            if is_java or int(process.name) == os.getpid():
                yield status["Name"], int(status["VmHWM"].split()[0]) >> 10


def main(folder: Path) -> None:
    """Run the batch and print what came of it."""
    write(folder / "drop")
    settings = load_properties([CONF / "base/spark.properties", CONF / "local/spark.properties"])
    spark = build_session(
        settings
        | {
            "spark.master": "local[2]",
            "spark.driver.memory": "1g",
            "spark.driver.extraJavaOptions": JAVA,
            "spark.sql.warehouse.dir": f"{folder}/warehouse",
        }
    )
    source = {"files": "drop", "fields": ["a", "b"], "settle": "0s", "formats": FORMATS}
    spec = PipelineSpec.model_validate(
        {"pipeline": "large", "description": "Large", "source": source, "sink": {"table": "silver.large"}}
    )
    assert isinstance(spec.source, FilesSource)
    lake = Lake(spark, str(folder / "lake"))
    reader = FilesReader(spark, str(folder / "drop"), spec.source, FileCatalog(lake.root, "large", None))
    Pipeline(spec, reader, lake).run(RunContext("run", "test"), lambda text: None)
    rows = lake.read("bronze.large").select("_position.origin", "_verdict").collect()
    found = Counter((Path(row["origin"]).name, row["_verdict"]) for row in rows)
    outcomes = {name: [found[name, "good"], found[name, "quarantined"]] for name in FILES}
    print(json.dumps({"outcomes": outcomes, "peaks": list(peaks())}))
    spark.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
