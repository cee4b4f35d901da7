"""The archive of a scorer: one zip file with `scorer.json` and an .npy file per array; no pickle, no code.

The same scorer gives the same bytes, so that the SHA-256 of the file says which model it is.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lakeloop.core.errors import ScorerError
from lakeloop.scoring.scorer import Scorer
from lakeloop.scoring.stages import linear, other_models, scalars, text, trees, vectors

FORMAT, DOCUMENT = 1, "scorer.json"
PARTS: dict[str, type[Any]] = {
    part.__name__: part
    for part in (
        scalars.Expressions, scalars.Impute, scalars.Index, scalars.Bucket, scalars.Binarize, scalars.Isotonic,
        vectors.OneHot, vectors.Assemble, vectors.Scale, vectors.Normalize, vectors.Choose, vectors.Project,
        text.Tokenize, text.DropStopWords, text.Grams, text.CountTerms, text.MeanVector,
        linear.BinaryLinear, linear.SoftmaxLinear, linear.LinearNumber,
        trees.Trees, trees.ForestClassifier, trees.BoostedClassifier, trees.TreesNumber,
        other_models.NaiveBayes, other_models.Perceptron, other_models.Factors,
    )
}  # fmt: skip


def write_archive(scorer: Scorer, file: Path) -> None:
    """Write a scorer; the file must not be there yet."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    document = {
        "format": FORMAT,
        "task": scorer.task,
        "columns": dict(scorer.columns),
        "probability_col": scorer.probability_col,
        "prediction_col": scorer.prediction_col,
        "stages": [_plain(stage, arrays) for stage in scorer.stages],
    }
    with zipfile.ZipFile(file, "x", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, DOCUMENT, json.dumps(document, ensure_ascii=False).encode())
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array, allow_pickle=False)
            _add(archive, name, content.getvalue())


def read_archive(file: Path | bytes) -> Scorer:
    """The scorer in a file, or in what one holds. Raises ScorerError for none, a damaged one, or a later format."""
    content = io.BytesIO(file) if isinstance(file, bytes) else file
    said = "the content" if isinstance(file, bytes) else str(file)
    try:
        with zipfile.ZipFile(content) as archive:
            if (damaged := archive.testzip()) is not None:
                raise ScorerError(f"{said}: {damaged} in it is damaged; write the archive again")
            document = json.loads(archive.read(DOCUMENT))
            if document["format"] != FORMAT:
                raise ScorerError(f"{said} is of format {document['format']}, this version reads {FORMAT}; update it")
            stages = [_built(stage, archive) for stage in document["stages"]]
    except FileNotFoundError as error:
        raise ScorerError(f"there is no archive {said}") from error
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError, OSError) as error:
        raise ScorerError(f"{said} is no archive of a scorer: {error}") from error
    return Scorer(
        document["columns"], stages, document["task"], document["probability_col"], document["prediction_col"]
    )


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)


def _plain(value: Any, arrays: dict[str, np.ndarray[Any, Any]]) -> Any:
    if is_dataclass(value):
        held = {field.name: _plain(getattr(value, field.name), arrays) for field in fields(value)}
        return {"part": type(value).__name__, **held}
    if isinstance(value, np.ndarray):
        name = f"{len(arrays)}.npy"
        arrays[name] = value
        return {"array": name}
    return value


def _built(plain: Any, archive: zipfile.ZipFile) -> Any:
    if isinstance(plain, Mapping) and "array" in plain:
        return np.load(io.BytesIO(archive.read(plain["array"])), allow_pickle=False)
    if isinstance(plain, Mapping) and "part" in plain:
        part = PARTS.get(plain["part"])
        if part is None:
            raise ScorerError(f"the archive has a stage {plain['part']!r}, which this version does not know; update it")
        return part(**{name: _built(value, archive) for name, value in plain.items() if name != "part"})
    return plain
