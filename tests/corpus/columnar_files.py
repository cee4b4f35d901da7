"""Parquet, ORC and Avro: cut, damaged, mislabelled, of other types."""

import io
from typing import Any

import fastavro
import pyarrow as pa
from pyarrow import orc, parquet

from tests.corpus.cases import Case

ROWS = 1_000
TABLE = pa.table({"a": [f"{n * 7919 % 1000}" for n in range(ROWS)], "b": [f"text {n * n}" for n in range(ROWS)]})
ONE = pa.table({"a": [1], "b": ["x"]})
CANNOT = "Spark cannot read it"


def as_parquet(table: pa.Table, **options: Any) -> bytes:
    """A Parquet file of the table."""
    target = io.BytesIO()
    parquet.write_table(table, target, **options)
    return target.getvalue()


def as_orc(table: pa.Table) -> bytes:
    """An ORC file of the table."""
    target = io.BytesIO()
    orc.write_table(table, target)
    return target.getvalue()


def as_avro(table: pa.Table, fields: Any = None, codec: str = "deflate") -> bytes:
    """An Avro file of the table; without `fields` all columns are text."""
    target = io.BytesIO()
    fields = fields or [{"name": name, "type": ["null", "string"]} for name in table.column_names]
    schema = {"type": "record", "name": "row", "fields": fields}
    fastavro.writer(
        target, fastavro.parse_schema(schema), table.to_pylist(), codec=codec, sync_marker=b"0123456789abcdef"
    )
    return target.getvalue()


def damaged(content: bytes, at: int, width: int = 64) -> bytes:
    """The content with a stretch turned over."""
    return content[:at] + bytes(byte ^ 0xFF for byte in content[at : at + width]) + content[at + width :]


PLAIN = as_parquet(TABLE, compression="none", use_dictionary=False)
SNAPPY, ORC, AVRO = as_parquet(TABLE), as_orc(TABLE), as_avro(TABLE)
NANOS = pa.table({"a": pa.array([1], pa.timestamp("ns")), "b": ["x"]})
NESTED = pa.table({"a": [{"x": 1, "y": [1, None]}], "b": [["p", None]]})
SAME = pa.Table.from_arrays([pa.array(["1"]), pa.array(["x"]), pa.array(["2"])], ["a", "b", "A"])
NAMELESS = pa.Table.from_arrays([pa.array([1]), pa.array(["x"]), pa.array([2])], ["a", "b", ""])


CASES = (
    Case("good.parquet", "Parquet", as_parquet(ONE), {1: ("1", "x")}),
    Case("rows.parquet", "Parquet of 1,000 rows", SNAPPY, ROWS),
    Case(
        "types.parquet",
        "a column of another type than in the others",
        as_parquet(pa.table({"a": [1.5], "b": [None]})),
        {1: ("1.5", None)},
    ),
    Case("nested.parquet", "nested types", as_parquet(NESTED), {1: ('{"x":1,"y":[1,null]}', '["p",null]')}),
    Case("no_rows.parquet", "no rows", as_parquet(ONE.slice(0, 0))),
    Case("no_columns.parquet", "other columns alone", as_parquet(pa.table({"z": [1]})), 0, ((1, "no column a, b"),)),
    Case("nameless.parquet", "a column without a name", as_parquet(NAMELESS), {1: ("1", "x")}),
    Case("names_twice.parquet", "names that differ in case", as_parquet(SAME), refused=CANNOT),
    Case("nanoseconds.parquet", "a type that Spark does not have", as_parquet(NANOS), refused=CANNOT),
    Case(
        "unsigned.parquet",
        "unsigned integers",
        as_parquet(pa.table({"a": pa.array([2**64 - 1], pa.uint64()), "b": ["x"]})),
        {1: ("18446744073709551615", "x")},
    ),
    Case("cut.parquet", "Parquet that was cut", SNAPPY[:-200], refused="it is damaged"),
    Case("pages.parquet", "a good footer and damaged pages", damaged(SNAPPY, 100), refused=CANNOT),
    Case(
        "pages_plain.parquet", "a good footer and damaged pages without compression", damaged(PLAIN, 8), refused=CANNOT
    ),
    Case("footer.parquet", "a damaged footer", damaged(SNAPPY, len(SNAPPY) - 60, 16), refused="it is damaged"),
    Case(
        "footer_length.parquet",
        "a footer that says it is 4 GB",
        SNAPPY[:-8] + b"\xf0\xff\xff\xff" + SNAPPY[-4:],
        refused="it is damaged",
    ),
    Case("csv.parquet", "CSV by another name", b"a,b\n1,x\n", refused="does not begin like one"),
    Case("orc.parquet", "ORC by another name", as_orc(ONE), refused="does not begin like one"),
    Case("empty.parquet", "no bytes", b"", refused="it is an empty .parquet"),
    Case("good.orc", "ORC", as_orc(ONE), {1: ("1", "x")}),
    Case("nested.orc", "nested types", as_orc(NESTED), {1: ('{"x":1,"y":[1,null]}', '["p",null]')}),
    Case("no_rows.orc", "no rows", as_orc(ONE.slice(0, 0))),
    Case("cut.orc", "ORC that was cut", ORC[:-200], refused="it is damaged"),
    Case("stripes.orc", "a good footer and damaged stripes", damaged(ORC, 300, 800), refused=CANNOT),
    Case("csv.orc", "CSV by another name", b"a,b\n1,x\n", refused="does not begin like one"),
    Case("empty.orc", "no bytes", b"", refused="it is an empty .orc"),
    Case("good.avro", "Avro", as_avro(pa.table({"a": ["1"], "b": ["x"]})), {1: ("1", "x")}),
    Case(
        "nested.avro",
        "nested types",
        as_avro(
            NESTED,
            [
                {
                    "name": "a",
                    "type": {
                        "type": "record",
                        "name": "r",
                        "fields": [
                            {"name": "x", "type": "int"},
                            {"name": "y", "type": {"type": "array", "items": ["null", "int"]}},
                        ],
                    },
                },
                {"name": "b", "type": {"type": "array", "items": ["null", "string"]}},
            ],
        ),
        {1: ('{"x":1,"y":[1,null]}', '["p",null]')},
    ),
    Case(
        "recursive.avro",
        "a type that holds itself",
        as_avro(
            pa.table({"a": [None], "b": ["x"]}),
            [{"name": "a", "type": ["null", "row"]}, {"name": "b", "type": "string"}],
        ),
        refused=CANNOT,
    ),
    Case("no_rows.avro", "no rows", as_avro(TABLE.slice(0, 0))),
    Case("cut.avro", "Avro that was cut", AVRO[:-200], refused="it is damaged"),
    Case("blocks.avro", "a good header and a damaged block", damaged(AVRO, len(AVRO) // 2), refused=CANNOT),
    Case("codec.avro", "a codec that is not known", AVRO.replace(b"deflate", b"defl8te", 1), refused="it is damaged"),
    Case("csv.avro", "CSV by another name", b"a,b\n1,x\n", refused="does not begin like one"),
    Case("empty.avro", "no bytes", b"", refused="it is an empty .avro"),
)
