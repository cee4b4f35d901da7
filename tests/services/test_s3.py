"""Files from S3 into a lake on S3, by the command as a process of its own against moto's server."""

import gzip
import io
import os
import socket
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pyarrow as pa
import pytest
import requests
import xlsxwriter
from deltalake import DeltaTable
from pyarrow import fs

from lakeloop.core.errors import SourceError, StorageError
from lakeloop.ingestion.source_specs.files import FilesSource
from lakeloop.ingestion.sources.files.listing import list_files
from lakeloop.lake.open_tables import table_names
from lakeloop.lake.ops_tables import read_rows
from tests.corpus.columnar_files import as_avro, as_orc, as_parquet

ROOT = Path(__file__).parents[2]
KEY, SECRET = "the-access-key", "the-secret-of-the-key"
LAKE = "s3a://lake/all"
PIPELINE = """
pipeline: {name}
description: {name}, one row per record
source:
  files: {name}
  formats:
    {{csv: {{}}, jsonl: {{}}, json_array: {{}}, xml: {{row_tag: c}}, parquet: {{}}, orc: {{}}, avro: {{}}, excel: {{}}}}
  fields: [a, b]
  settle: 0s
  processed: {processed}
rules: [{{is_not_null: b}}]
sink: {{table: silver.{name}}}
"""
CSV = b"a,b\n1,x\n2,\n1,x\n"
TABLE = pa.table({"a": ["1", "2", "1"], "b": ["x", None, "x"]})
ROWS = Counter({("1", "x", "good"): 2, ("2", None, "quarantined"): 1})
JSON = '{"a": 1, "b": "x"}', '{"a": 2}', '{"a": 1, "b": "x"}'
XML = "<r><c><a>1</a><b>x</b></c><c><a>2</a><b/></c><c><a>1</a><b>x</b></c></r>"


def as_zip(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("inside.csv", content)
    return target.getvalue()


def as_workbook() -> bytes:
    target = io.BytesIO()
    with xlsxwriter.Workbook(target, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for number, cells in enumerate([("a", "b"), ("1", "x"), ("2",), ("1", "x")]):
            for place, cell in enumerate(cells):
                sheet.write_string(number, place, cell)
    return target.getvalue()


DROPPED = {
    "plain.csv": CSV,
    "sub/wide.csv": CSV.decode().encode("utf-16"),
    "packed.csv.gz": gzip.compress(CSV),
    "packed.zip": as_zip(CSV),
    "lines.jsonl": "\n".join(JSON).encode(),
    "array.json": f"[{','.join(JSON)}]".encode(),
    "document.xml": XML.encode(),
    "table.parquet": as_parquet(TABLE),
    "table.orc": as_orc(TABLE),
    "table.avro": as_avro(TABLE),
    "book.xlsx": as_workbook(),
    "a b 100%25 %zz+#=,!~.csv": CSV,
    "a b 100%25 %zz+#=,!~.parquet": as_parquet(TABLE),
    "[x]{y}*?.csv": CSV,
    "12:30.csv": CSV,
    "ü.jsonl": "\n".join(JSON).encode(),
}


@dataclass(frozen=True)
class Store:
    """Moto's server with two buckets, and a client of it."""

    endpoint: str
    files: fs.S3FileSystem

    def put(self, key: str, content: bytes) -> None:
        with self.files.open_output_stream(key, compression=None) as stream:
            stream.write(content)

    def names(self, folder: str) -> set[str]:
        found = self.files.get_file_info(fs.FileSelector(folder, recursive=True, allow_not_found=True))
        return {info.path.removeprefix(f"{folder}/") for info in found if info.is_file}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("moto") / "log"
    environment = {
        "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ALLOW_HTTP": "true", "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    with pytest.MonkeyPatch.context() as patch, log.open("wb") as output:
        for name, value in environment.items():
            patch.setenv(name, value)
        with subprocess.Popen(command, stdout=output, stderr=output) as server:
            try:
                wait_for(port, server)
                files = fs.S3FileSystem(endpoint_override=environment["AWS_ENDPOINT_URL"], allow_bucket_creation=True)
                for bucket in ("drop", "lake"):
                    files.create_dir(bucket)
                yield Store(environment["AWS_ENDPOINT_URL"], files)
            finally:
                server.terminate()


def wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert server.poll() is None, "moto's server ended"
            assert time.monotonic() < deadline, "moto's server does not answer"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def conf(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("s3") / "conf"
    (folder / "base/pipelines").mkdir(parents=True)
    (folder / "local").mkdir()
    (folder / "base/platform.yml").write_text(f"lake: {LAKE}/\n")
    (folder / "base/spark.properties").write_text(
        "".join((ROOT / layer / "spark.properties").read_text() for layer in ("conf/base", "conf/local"))
    )
    connections = ""
    for name, processed in {"kept": "keep", "moved": "{move: _done}", "gone": "delete"}.items():
        connections += f"{name}: {{files: {{path: s3a://drop/{name}}}}}\n"
        (folder / f"base/pipelines/{name}.yml").write_text(PIPELINE.format(name=name, processed=processed))
    (folder / "base/connections.yml").write_text(connections)
    for name, content in DROPPED.items():
        store.put(f"drop/kept/{name}", content)
    for name in ("moved", "gone"):
        store.put(f"drop/{name}/in/plain.csv", CSV)
        store.put(f"drop/{name}/packed.csv.gz", gzip.compress(CSV))
    return folder


def lakeloop(conf: Path, *words: str) -> str:
    """What the command prints; it must succeed and show no secret."""
    ended = subprocess.run(
        [sys.executable, "-m", "lakeloop.cli", *words, "--conf-dir", str(conf)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "lib"), "COLUMNS": "200"}, cwd=conf.parent,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout
    assert SECRET not in ended.stdout
    return ended.stdout


def rows_of(name: str) -> dict[str, Counter[tuple[str | None, str | None, str]]]:
    """The rows of bronze by the file that they came from."""
    found: dict[str, Counter[tuple[str | None, str | None, str]]] = {}
    table = DeltaTable(f"{LAKE}/bronze/{name}").to_pyarrow_table(columns=["_position", "a", "b", "_verdict"])
    for row in table.to_pylist():
        origin = row["_position"]["origin"].split("!/")[0].removeprefix(f"s3a://drop/{name}/")
        found.setdefault(origin, Counter())[row["a"], row["b"], row["_verdict"]] += 1
    return found


@pytest.mark.slow
def test_files_of_every_format_come_in_once_and_are_put_away(store: Store, conf: Path) -> None:
    lakeloop(conf, "run")
    assert rows_of("kept") == dict.fromkeys(DROPPED, ROWS)
    assert rows_of("moved") == rows_of("gone") == dict.fromkeys(["in/plain.csv", "packed.csv.gz"], ROWS)
    assert store.names("drop/kept") == set(DROPPED)
    assert store.names("drop/moved") == {"_done/in/plain.csv", "_done/packed.csv.gz"}
    assert store.names("drop/gone") == set()
    assert {"bronze.kept", "silver.kept", "ops.batches", "ops.files", "ops.runs"} <= set(table_names(LAKE))
    catalogued = read_rows(LAKE, "ops.files", [("pipeline", "=", "kept")], ["path", "outcome", "rows_good"])
    assert {(row["path"], row["outcome"], row["rows_good"]) for row in catalogued} == {
        (f"s3a://drop/kept/{name}", "read", 2) for name in DROPPED
    }
    everything = [path for path in conf.parent.rglob("*") if path.is_file()]
    assert [path for path in everything if SECRET.encode() in path.read_bytes()] == []
    for name in store.names("lake"):
        with store.files.open_input_stream(f"lake/{name}", compression=None) as stream:
            assert SECRET.encode() not in stream.read(), name
    # A file replaced under its name by one of the same size, a new one, and nothing where all has been taken.
    store.put("drop/kept/plain.csv", CSV.replace(b"1", b"7"))
    store.put("drop/kept/late.csv", CSV)
    printed = lakeloop(conf, "run")
    assert "2 new files" in printed
    assert printed.count("nothing new") == 2
    replaced = ROWS + Counter({("7", "x", "good"): 2, ("2", None, "quarantined"): 1})
    assert rows_of("kept") == dict.fromkeys([*DROPPED, "late.csv"], ROWS) | {"plain.csv": replaced}
    assert "2 new files" in lakeloop(conf, "runs")
    assert str(2 * len(DROPPED) + 4) in lakeloop(conf, "query", "SELECT count(*) AS rows FROM silver.kept")


CSV_SOURCE = FilesSource.model_validate({"files": "x", "formats": {"csv": {}}})


def test_a_folder_is_what_lies_in_it(store: Store) -> None:
    assert list_files("s3a://drop/nothing", CSV_SOURCE) == []
    with pytest.raises(SourceError, match="the folder s3a://missing/in does not exist"):
        list_files("s3a://missing/in", CSV_SOURCE)


def test_a_key_that_no_folder_could_have_is_left_alone(store: Store) -> None:
    client = boto3.client("s3", endpoint_url=store.endpoint)
    for key in ("odd/good.csv", "odd//double.csv", "odd/_hidden.csv", "odd/empty/"):
        client.put_object(Bucket="drop", Key=key, Body=CSV)
    assert [file.path for file in list_files("s3a://drop/odd", CSV_SOURCE)] == ["s3a://drop/odd/good.csv"]


def test_credentials_that_are_refused_end_in_one_sentence(store: Store) -> None:
    """The last test here: from now on the server wants a key that it knows."""
    assert list_files("s3a://drop/nothing", CSV_SOURCE) == []
    assert requests.post(f"{store.endpoint}/moto-api/reset-auth", data=b"0", timeout=10).ok
    with pytest.raises(SourceError, match=r"s3a://drop/nothing cannot be listed: .*ACCESS_DENIED.*the credentials"):
        list_files("s3a://drop/nothing", CSV_SOURCE)
    with pytest.raises(StorageError, match=r"s3a://lake/all/ops/runs cannot be reached: .*credentials") as refused:
        read_rows(LAKE, "ops.runs")
    assert SECRET not in str(refused.value)
