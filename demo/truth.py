"""The defects that Lakeloop found, held against those that were planted."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from pyspark.sql import functions as F

from demo.defects import Planted
from lakeloop.lake.file_catalog import FILES
from lakeloop.lake.ops_tables import read_rows
from lakeloop.lake.tables import Lake
from lakeloop.reports.defects_section import DefectRow

Row = dict[str, Any]


def defect_rows(lake: Lake, planted: Sequence[Planted]) -> list[DefectRow]:
    """Per pipeline, outcome and reason: planted, found with exactly that reason, and rows refused without a defect.

    Looks at the pipelines that something is planted for.
    """
    wanted, found, unexpected = Counter(_kind(defect) for defect in planted), Counter[Kind](), Counter[Kind]()
    for pipeline in dict.fromkeys(defect.pipeline for defect in planted):
        bad, by_place = _refused(lake, pipeline, planted)
        for defect in (defect for defect in planted if defect.pipeline == pipeline):
            match = next((row for row in bad if _is(row, defect, by_place)), None)
            if match is not None:
                bad.remove(match)
                found[_kind(defect)] += 1
        unexpected.update((pipeline, row["_verdict"], row["reason"]) for row in bad)
    return [
        DefectRow(pipeline, reason, outcome, wanted[kind], found[kind], unexpected[kind])
        for kind in sorted(wanted | unexpected)
        for pipeline, outcome, reason in [kind]
    ]


Kind = tuple[str, Any, str]


def _kind(defect: Planted) -> Kind:
    return defect.pipeline, defect.outcome, defect.reason


def _refused(lake: Lake, pipeline: str, planted: Sequence[Planted]) -> tuple[list[Row], dict[tuple[str, int], Row]]:
    """The rows that are not good, and those that stand where a defect was planted, whatever their verdict."""
    places = [f"{d.where['file']}:{d.where['line']}" for d in planted if d.pipeline == pipeline and "file" in d.where]
    place = F.concat_ws(":", F.element_at(F.split("_position.origin", "/"), -1), "_position.record")
    arrived = F.from_json("_original", "map<string,string>").alias("arrived")  # of a line of CSV, NULL
    rows = [
        row.asDict() | {"reason": " ".join(reason["rule"] for reason in row["_reasons"] or [])}
        for row in lake.read(f"bronze.{pipeline}")
        .where((F.col("_verdict") != "good") | place.isin(places))
        .select("*", arrived)
        .collect()
    ]
    rows += [
        {"_verdict": "refused", "reason": "file_refused", "_position": {"origin": file["path"], "record": 1}}
        for file in read_rows(lake.root, FILES, [("pipeline", "=", pipeline), ("outcome", "=", "refused")])
    ]
    by_place = {(PurePath(row["_position"]["origin"]).name, row["_position"]["record"]): row for row in rows}
    return [row for row in rows if row["_verdict"] != "good"], by_place


def _is(row: Row, defect: Planted, by_place: dict[tuple[str, int], Row]) -> bool:
    if (row["_verdict"], row["reason"]) != (defect.outcome, defect.reason):
        return False
    if "file" not in defect.where:
        return all(row["arrived"].get(column) == value for column, value in defect.where.items())
    there = by_place.get((str(defect.where["file"]), int(defect.where["line"] or 0)))
    # Of two equal lines either may be the one that was dropped.
    return there is row or (there is not None and defect.outcome == "dropped" and _fields(there) == _fields(row))


def _fields(row: Row) -> Row:
    """What the row says, without how it came."""
    return {
        name: value for name, value in row.items() if not name.startswith("_") and name not in ("arrived", "reason")
    }
