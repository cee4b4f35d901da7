"""The data API over HTTP. Every answer is JSON; a refusal is `{"error": "…"}` in one sentence."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Header, Query, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from lakeloop import __version__
from lakeloop.serving.data.service import DataService
from lakeloop.serving.refusals import add_refusals, refusal

MOST_BODY_BYTES = 64 << 10

Authorization = Annotated[str | None, Header()]
ApiKey = Annotated[str | None, Header(alias="X-API-Key")]


class Question(BaseModel):
    """The body of POST /query."""

    model_config = ConfigDict(extra="forbid")

    sql: str = Field(min_length=1, max_length=20_000)
    limit: int = 1000


class Measures:
    """What `/metrics` tells, of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ["method", "route", "status"]
        self.requests = Counter("lakeloop_api_requests", "Requests answered", labels, registry=self.registry)
        self.seconds = Histogram("lakeloop_api_seconds", "Seconds to an answer", ["route"], registry=self.registry)

    def observe(self, request: Request, status: int, seconds: float) -> None:
        """Count an answer under its route as declared, so that names in paths make no labels."""
        route = getattr(request.scope.get("route"), "path", "none")
        method = request.method if route != "none" else "none"
        self.requests.labels(method, route, status).inc()
        self.seconds.labels(route).observe(seconds)


def build_app(service: DataService) -> FastAPI:
    """The application; the service is started and stopped with it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.stop()

    app = FastAPI(title="Lakeloop data", version=__version__, docs_url=None, redoc_url=None, lifespan=lifespan)
    measures = Measures()
    add_refusals(app, "GET /tables")

    @app.middleware("http")
    async def measured(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        began = time.perf_counter()
        response = _too_large(request) or await call_next(request)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        measures.observe(request, response.status_code, time.perf_counter() - began)
        return response

    @app.get("/health")
    def health() -> JSONResponse:
        """Whether accesses can be answered and recorded."""
        if service.audit.failing:
            return JSONResponse({"status": "accesses cannot be recorded"}, 503)
        return JSONResponse({"status": "ok"})

    @app.get("/metrics")
    def metrics() -> Response:
        """Counters and times for Prometheus."""
        return Response(generate_latest(measures.registry), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/tables")
    def tables(authorization: Authorization = None, api_key: ApiKey = None) -> dict[str, Any]:
        """The tables that the key reaches."""
        return service.tables(_key(authorization, api_key))

    @app.get("/tables/{name}")
    def table(name: str, authorization: Authorization = None, api_key: ApiKey = None) -> dict[str, Any]:
        """Columns, rows, version and freshness of a table."""
        return service.describe(_key(authorization, api_key), name)

    @app.get("/tables/{name}/rows")
    def rows(
        name: str,
        columns: str = "",
        where: Annotated[list[str] | None, Query()] = None,
        limit: int = 100,
        as_of: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
        page: Annotated[str | None, Query(max_length=500)] = None,
        authorization: Authorization = None,
        api_key: ApiKey = None,
    ) -> dict[str, Any]:
        """Rows, by the page."""
        chosen = [column for column in columns.split(",") if column]
        key = _key(authorization, api_key)
        return service.rows(key, name, chosen, where or [], limit, as_of=as_of, page=page)

    @app.post("/query")
    def query(question: Question, authorization: Authorization = None, api_key: ApiKey = None) -> dict[str, Any]:
        """The first rows of a SELECT."""
        return service.query(_key(authorization, api_key), question.sql, question.limit)

    return app


def _key(authorization: str | None, api_key: str | None) -> str | None:
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else api_key


def _too_large(request: Request) -> JSONResponse | None:
    if request.method in {"GET", "HEAD"}:
        return None
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        return refusal(411, "a body comes with its Content-Length")
    return refusal(413, f"a body has {MOST_BODY_BYTES:,} bytes at most") if int(length) > MOST_BODY_BYTES else None
