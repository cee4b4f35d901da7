"""A release: all that a process needs to answer for one version of a model, without Spark and without MLflow.

A folder of two files: `scorer.zip`, the archive, and `release.json`, which says where features come from, which rows
explanations start from, and what the scorer said of some rows on the day of its training.
"""

import hashlib
import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from lakeloop.core.errors import ScorerError, ScoringError
from lakeloop.scoring.archive import read_archive, write_archive
from lakeloop.scoring.scorer import Scorer

ARCHIVE, DOCUMENT = "scorer.zip", "release.json"
PROBES = 100
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Card:
    """What `release.json` holds. Values of rows are as JSON has them: days and times as ISO texts, decimals as texts.

    `table` has one row per `key` with the features. `background` are the rows that explanations start from, `probes`
    rows with the (prediction, probability) that `Scorer.score` gave when it agreed with Spark.
    """

    model: str
    table: str
    key: str
    background: Sequence[Mapping[str, Any]]
    probes: Sequence[tuple[Mapping[str, Any], float, Any]]


@dataclass(frozen=True)
class Release:
    """A version that can answer."""

    scorer: Scorer
    card: Card


def write_release(
    folder: Path,
    scorer: Scorer,
    *,
    model: str,
    table: str,
    key: str,
    background: Iterable[Mapping[str, Any]],
    probes: Sequence[Mapping[str, Any]],
) -> str:
    """Write both files into a folder and return a name for the content: 16 hexadecimal digits.

    Of `probes` a hundred are kept, evenly, with what `scorer` says of them.
    """
    write_archive(scorer, folder / ARCHIVE)
    step = max(1, len(probes) // PROBES)
    answered = [(_plain(scorer, row), *scorer.score(row)) for row in probes[::step][:PROBES]]
    card = Card(model, table, key, [_plain(scorer, row) for row in background], answered)
    (folder / DOCUMENT).write_text(json.dumps(asdict(card), ensure_ascii=False))
    return digest_of(folder)


def digest_of(folder: Path) -> str:
    """16 hexadecimal digits that are those of the content of a release."""
    content = hashlib.sha256()
    for name in (ARCHIVE, DOCUMENT):
        content.update(hashlib.sha256((folder / name).read_bytes()).digest())
    return content.hexdigest()[:16]


def read_release(folder: Path) -> Release:
    """The release in a folder. Raises ScorerError where a file is missing or damaged."""
    scorer = read_archive(folder / ARCHIVE)
    try:
        read = json.loads((folder / DOCUMENT).read_text())
        card = Card(**{**read, "probes": [(row, said, share) for row, said, share in read["probes"]]})
    except FileNotFoundError as error:
        raise ScorerError(f"there is no {DOCUMENT} in {folder}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ScorerError(f"{folder / DOCUMENT} is not that of a release: {error}") from error
    return Release(scorer, card)


def complaints(release: Release) -> list[str]:
    """What speaks against answering by a release: rows that it answers otherwise than it did, or not by a number."""
    found = [
        f"{row}: {said} is said, which is no number"
        for row in release.card.background
        if not all(map(math.isfinite, _numbers(said := release.scorer.score(row))))
    ]
    for row, prediction, share in release.card.probes:
        try:
            said = release.scorer.score(row)
        except ScoringError as error:
            found.append(f"{row}: {error}")
            continue
        if not _same(said, (prediction, share)):
            found.append(f"{row}: {said} is said, and {(prediction, share)} was at the training")
    return found


def seconds_per_row(release: Release, rows: int = 2_000) -> float:
    """The median seconds that one row takes, over the probes in turn."""
    probes = [row for row, _, _ in release.card.probes] or [{}]
    took = []
    for at in range(rows):
        began = time.perf_counter()
        release.scorer.score(probes[at % len(probes)])
        took.append(time.perf_counter() - began)
    return sorted(took)[len(took) // 2]


def _same(said: tuple[float, Any], wanted: tuple[float, Any]) -> bool:
    one, other = (_numbers(answer) for answer in (said, wanted))
    return len(one) == len(other) and all(
        a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= TOLERANCE * max(1.0, abs(b))
        for a, b in zip(one, other, strict=True)
    )


def _numbers(answer: tuple[float, Any]) -> list[float]:
    label, share = answer
    return [label, *([] if share is None else share if isinstance(share, tuple | list) else [share])]


def _plain(scorer: Scorer, row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _json(row[name]) for name in scorer.columns if row.get(name) is not None}


def _json(value: Any) -> Any:
    if isinstance(value, date):  # a datetime is one, too
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
