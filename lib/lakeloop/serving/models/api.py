"""The models API over HTTP. Every answer is JSON; a refusal is `{"error": "…"}` in one sentence."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from lakeloop import __version__
from lakeloop.serving.access_spec import Keys
from lakeloop.serving.models.asking import Asker, Asking
from lakeloop.serving.models.roles import Line, Version
from lakeloop.serving.models.service import ModelService, iso
from lakeloop.serving.refusals import add_refusals


def build_app(service: ModelService, keys: Keys | None, per_minute: int) -> Asking:
    """The application; the service is started and stopped with it.

    Without `keys` whoever reaches the address may ask, `per_minute` times from each of theirs.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.stop()

    app = FastAPI(
        title="Lakeloop models", version=__version__, docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan
    )
    add_refusals(app, "GET /models")

    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        """That the process lives."""
        return JSONResponse({"status": "ok"})

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        """Whether every champion that is asked for can answer, and answers can be recorded."""
        missing = service.missing()
        return JSONResponse(
            {"status": "not ready", "because": missing} if missing else {"status": "ok"}, 503 if missing else 200
        )

    @app.get("/metrics")
    def metrics() -> Response:
        """Counters and times for Prometheus."""
        return Response(service.measures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/models")
    async def models(request: Request) -> dict[str, Any]:
        """The models that the caller reaches."""
        asker: Asker = request.scope["asker"]
        return {"models": [_told(line) for name, line in service.watch.lines.items() if asker.reaches(name)]}

    @app.get("/models/{name}")
    async def model(request: Request, name: str) -> dict[str, Any]:
        """One model."""
        return _told(service.line(name, request.scope["asker"].reaches))

    return Asking(app, service, keys, per_minute)


def _told(line: Line) -> dict[str, Any]:
    """A model as `GET /models` has it: who holds a role now, and who will; fields with their kinds."""
    now = time.time()
    roles = line.at(now)
    holders = [version for version in (roles.champion, roles.canary, roles.challenger) if version] if roles else []
    coming = [
        version
        for later in reversed(line.timeline)
        if later.since > now
        for version in (later.champion, later.canary, later.challenger)
        if version and version not in holders
    ]
    champion = roles.champion if roles else None
    return {
        "name": line.model,
        "roles": {version.role: _held(version) for version in holders},
        "coming": [_held(version) | {"role": version.role} for version in dict.fromkeys(coming)],
        "problems": list(line.problems.values()),
        "fields": dict(champion.scorer.columns) if champion else {},
        "task": champion.scorer.task if champion else None,
        "table": champion.card.table if champion else None,
        "id": champion.card.key if champion else None,
    }


def _held(version: Version) -> dict[str, Any]:
    switch = version.switch
    return {
        "version": version.number,
        "since": iso(switch.effective_at.timestamp()),
        "who": switch.who,
        "why": switch.why,
        "percent": switch.percent,
    }
