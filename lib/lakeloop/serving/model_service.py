"""What models answer, apart from HTTP: who answers for a key, the answer itself, and its entry in the log."""

import datetime as dt
import itertools
import math
import os
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from pydantic_core import to_json

from lakeloop.core.errors import ScoringError
from lakeloop.lake.predictions import Prediction, append_predictions, likelihood
from lakeloop.scoring.reasons import explained
from lakeloop.scoring.release import Card
from lakeloop.serving.answers import RefusedError
from lakeloop.serving.model_asked import Asked
from lakeloop.serving.model_features import Features
from lakeloop.serving.model_measures import ModelMeasures
from lakeloop.serving.model_roles import Line, Roles, Version
from lakeloop.serving.model_shadow import Shadow, Shadowed
from lakeloop.serving.model_watch import Watch
from lakeloop.serving.writer import Writer

Row = Mapping[str, Any]


class Answered(NamedTuple):
    """The bytes of an answer, and what a challenger is asked once they have gone out."""

    body: bytes
    shadowed: Sequence[Shadowed]


@dataclass
class ModelService:
    """Answers of one lake's models. `start` before the first, `stop` after the last.

    `is_ending` once the process was told to end: what is under way is still answered.
    """

    root: str
    watch: Watch
    features: Features
    writer: Writer[Prediction]
    shadow: Shadow
    measures: ModelMeasures
    worker: str
    is_ending: bool = False
    _requests: Any = field(default_factory=itertools.count)
    _prefix: str = field(default_factory=lambda: secrets.token_hex(6))

    @classmethod
    def of(cls, root: str, names: Sequence[str]) -> "ModelService":
        """The models `names` of a lake, or all that the ledger knows."""
        measures = ModelMeasures()
        writer: Writer[Prediction] = Writer("predictions", partial(append_predictions, root))
        watch = Watch(root, names, measures)
        worker = f"{socket.gethostname()}:{os.getpid()}"
        shadow = Shadow(writer, measures, worker)
        service = cls(root, watch, Features(root), writer, shadow, measures, worker)
        measures.gauges |= {
            "log_waiting": ("Predictions that are not in the log yet", lambda: writer.waiting),
            "shadow_waiting": ("Rows that a challenger is still to be asked for", lambda: shadow.waiting),
            "ledger_age_seconds": ("Seconds since the ledger was read", lambda: min(watch.age, 1e9)),
            "problems": ("Roles whose holder does not answer", lambda: len(watch.missing())),
        }
        return service

    def start(self) -> None:
        """Begin to follow the ledger and to record."""
        self.writer.start()
        self.shadow.start()
        self.watch.start()

    def stop(self) -> None:
        """Record what has not been recorded yet, and end what was started."""
        self.watch.stop()
        self.shadow.stop()
        self.writer.stop()

    def missing(self) -> list[str]:
        """Why requests should go elsewhere, a sentence each; none where all is well."""
        found = ["the process was told to end"] if self.is_ending else []
        if self.writer.failing:
            found.append("predictions cannot be recorded")
        return found + self.watch.missing()

    def new_request(self) -> str:
        """An id that no other request has."""
        return f"{self._prefix}{next(self._requests):08x}"

    def line(self, model: str, reached: Any) -> Line:
        """A model, by name. Raises RefusedError that names what there is; `reached` says what the caller may see."""
        line = self.watch.lines.get(model)
        if line is None or not reached(model):
            known = ", ".join(name for name in self.watch.lines if reached(name)) or "none at present"
            raise RefusedError(404, f"there is no model '{model[:60]}'; there is: {known}")
        return line

    def roles(self, line: Line, moment: float) -> Roles:
        """Who holds the roles of a model, a champion among them. Raises RefusedError where there is none."""
        roles = line.at(moment)
        if roles is None or roles.champion is None:
            why = f": {line.problems['champion']}" if "champion" in line.problems else "; promote one"
            raise RefusedError(503, f"no version of '{line.model}' answers as champion{why}", 5)
        return roles

    def found_at_once(self, asked: Asked, card: Card) -> Sequence[Row] | None:
        """The rows that are asked about, where no file has to be read for them."""
        if asked.ids is None:
            return asked.rows
        if asked.as_of is not None:
            return None
        rows = [self.features.remembered(card.table, key) for key in asked.ids]
        return None if None in rows else rows  # type: ignore[return-value]

    def found(self, asked: Asked, card: Card, columns: Sequence[str]) -> Sequence[Row]:
        """The rows that are asked about, read from the model's table."""
        assert asked.ids is not None
        return self.features.rows(card.table, card.key, columns, asked.ids, asked.as_of)

    def one(
        self, line: Line, roles: Roles, row: Row, key: str | None, moment: float, began: float, caller: str
    ) -> Answered:
        """The answer for one row, which is in the log from then on."""
        request = self.new_request()
        version = roles.chosen(line.model, key or request)
        label, share = answer(version, row)
        self._log(version, request, moment, key, label, share, row, began, caller)
        shadowed = () if roles.challenger is None else ((roles.challenger, request, key, row, caller),)
        return Answered(
            f'{{"prediction":{label!r},"probability":{_said(share)},"model":{line.quoted},"version":{version.number},'
            f'"role":"{version.role}","at":"{iso(moment)}","request_id":"{request}"}}'.encode(),
            shadowed,
        )

    def many(
        self, line: Line, roles: Roles, rows: Sequence[Row], keys: Sequence[str | None], moment: float, began: float,
        caller: str,
    ) -> Answered:  # fmt: skip
        """The answers for many rows, in their order; each has its own entry, `<request_id>-<number from 1>`."""
        request = self.new_request()
        names = [f"{request}-{at}" for at in range(1, len(rows) + 1)]
        chosen = [roles.chosen(line.model, key or name) for key, name in zip(keys, names, strict=True)]
        answers: list[tuple[float, Any]] = [(math.nan, None)] * len(rows)
        for version in dict.fromkeys(chosen):
            places = [at for at, other in enumerate(chosen) if other is version]
            for at, found in zip(places, _answers(version, [rows[at] for at in places]), strict=True):
                answers[at] = found
        said = []
        for at, (version, (label, share)) in enumerate(zip(chosen, answers, strict=True)):
            if not _is_number(label, share):
                raise RefusedError(
                    400, f"row {at + 1}: version {version.number} has no number for it; look at its values"
                )
            said.append(
                f'{{"prediction":{label!r},"probability":{_said(share)},"version":{version.number},'
                f'"role":"{version.role}","request_id":"{names[at]}"}}'
            )
        for name, version, key, (label, share), row in zip(names, chosen, keys, answers, rows, strict=True):
            self._log(version, name, moment, key, label, share, row, began, caller)
        shadowed = []
        if (challenger := roles.challenger) is not None:
            shadowed = [(challenger, name, key, row, caller) for name, key, row in zip(names, keys, rows, strict=True)]
        head = f'{{"model":{line.quoted},"at":"{iso(moment)}","request_id":"{request}","predictions":['
        return Answered(f"{head}{','.join(said)}]}}".encode(), shadowed)

    def reasons(self, line: Line, roles: Roles, row: Row, key: str | None, moment: float) -> bytes:
        """Why a row gets its score: what each field adds to the mean score of the background."""
        request = self.new_request()
        version = roles.chosen(line.model, key or request)
        if version.background is None:
            raise RefusedError(409, f"version {version.number} of '{line.model}' has no background to explain it from")
        try:
            told = explained(version.scorer, row, version.background)
        except ScoringError as error:
            raise RefusedError(400, f"the row cannot be explained: {error}") from error
        reasons = [
            {"field": r.column, "value": r.value, "contribution": r.contribution, "error": r.error}
            for r in told.reasons
        ]
        return to_json({
            "score": told.score, "mean_score": told.mean_score, "reasons": reasons, "model": line.model,
            "version": version.number, "role": version.role, "at": iso(moment), "request_id": request,
        }, inf_nan_mode="null")  # fmt: skip

    def _log(
        self, version: Version, request: str, moment: float, key: str | None, label: float, share: Any, row: Row,
        began: float, caller: str,
    ) -> None:  # fmt: skip
        version.counts.predictions += 1
        self.writer.add(
            Prediction(
                request,
                round(moment * 1e6),
                version.switch.model,
                version.number,
                version.role,
                key,
                label,
                likelihood(label, share),
                row,
                int((time.perf_counter() - began) * 1e6),
                self.worker,
                caller,
            )
        )


def answer(version: Version, row: Row) -> tuple[float, Any]:
    """What a version says of a row. Raises RefusedError where it says no number."""
    try:
        label, share = version.scorer.score(row)
    except ScoringError as error:
        raise RefusedError(400, f"the row: {error}") from error
    if not _is_number(label, share):
        raise RefusedError(400, f"version {version.number} has no number for the row; look at its values")
    return label, share


def iso(moment: float) -> str:
    """Seconds since 1970 as a time in ISO 8601."""
    return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat()


def _answers(version: Version, rows: Sequence[Row]) -> list[tuple[float, Any]]:
    try:
        found = version.scorer.score_many(rows)
    except ScoringError as error:
        raise RefusedError(400, str(error)) from error
    labels = found.predictions.tolist()
    if found.probabilities is None:
        return [(label, None) for label in labels]
    is_binary = version.scorer.task == "binary"
    shares = found.probabilities[:, 1].tolist() if is_binary else found.probabilities.tolist()
    return list(zip(labels, shares, strict=True))


def _is_number(label: float, share: Any) -> bool:
    if not math.isfinite(label):
        return False
    return share is None or all(map(math.isfinite, share if isinstance(share, list | tuple) else (share,)))


def _said(share: Any) -> str:
    if share is None:
        return "null"
    return f"[{','.join(map(repr, share))}]" if isinstance(share, list | tuple) else repr(share)
