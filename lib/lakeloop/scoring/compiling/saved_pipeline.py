"""What Spark ML writes when a pipeline is saved, read without Spark: parameters as JSON, learned numbers as Parquet."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds
from numpy.typing import NDArray

from lakeloop.core.errors import ScorerError

Floats = NDArray[np.float64]
PIPELINE = "org.apache.spark.ml.PipelineModel"


@dataclass(frozen=True)
class SavedStage:
    """A fitted stage: its folder, the Java class, and every parameter that is set or has a default."""

    folder: Path
    java_class: str
    params: dict[str, Any]
    extra: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.java_class.rpartition('.')[2]} ({self.folder.name})"

    def rows(self, part: str = "data") -> list[dict[str, Any]]:
        """The rows of what it learned."""
        listed: list[dict[str, Any]] = self.table(part).to_pylist()
        return listed

    def learned(self) -> dict[str, Any]:
        """The only row of what it learned."""
        return self.rows()[0]

    def table(self, part: str = "data") -> Any:
        """What it learned, as an Arrow table."""
        return ds.dataset(self.folder / part, format="parquet", exclude_invalid_files=True).to_table()

    def columns(self, one: str, many: str) -> list[str]:
        """The names under a parameter that stands for one column or, under its plural, for many."""
        names = self.params.get(many) or [self.params[one]]
        return list(names)


def saved_stages(folder: Path) -> list[SavedStage]:
    """The stages of a saved PipelineModel in their order, those of pipelines in it spelled out.

    Raises ScorerError where the folder is no pipeline that Spark saved.
    """
    try:
        return list(_stages(folder))
    except (OSError, KeyError, ValueError) as error:
        raise ScorerError(f"{folder} is no PipelineModel as Spark saves it: {error}") from error


def _stages(folder: Path) -> Iterator[SavedStage]:
    stage = _read(folder)
    if stage.java_class not in (PIPELINE, "pyspark.ml.pipeline.PipelineModel"):
        yield stage
        return
    uids = stage.params["stageUids"]
    digits = len(str(len(uids)))
    for number, uid in enumerate(uids):
        yield from _stages(folder / "stages" / f"{number:0{digits}d}_{uid}")


def _read(folder: Path) -> SavedStage:
    parts = [path for path in sorted((folder / "metadata").glob("part-*")) if path.stat().st_size]
    if not parts:
        raise ScorerError(f"{folder} is no stage as Spark saves it: no metadata")
    found = json.loads(parts[0].read_text())
    params = {**found.get("defaultParamMap", {}), **found["paramMap"]}
    known = ("class", "timestamp", "sparkVersion", "uid", "paramMap", "defaultParamMap")
    return SavedStage(folder, found["class"], params, {name: found[name] for name in found if name not in known})


def vector(found: dict[str, Any]) -> Floats:
    """A vector as Spark writes it to Parquet or, without `size`, to JSON."""
    values = np.array(found["values"], dtype=np.float64)
    if found["type"] == 1:
        return values
    dense = np.zeros(found["size"])
    dense[np.array(found["indices"], dtype=np.intp)] = values
    return dense


def matrix(found: dict[str, Any]) -> Floats:
    """A matrix as Spark writes it: by columns, or by rows where it is transposed."""
    rows, columns = found["numRows"], found["numCols"]
    values = np.array(found["values"], dtype=np.float64)
    if found["type"] == 1:
        return values.reshape(rows, columns) if found["isTransposed"] else values.reshape(columns, rows).T
    starts, inner = np.array(found["colPtrs"]), np.array(found["rowIndices"], dtype=np.intp)
    outer = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    dense = np.zeros((rows, columns))
    dense[(outer, inner) if found["isTransposed"] else (inner, outer)] = values
    return dense
