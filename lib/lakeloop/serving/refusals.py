"""Refusals as answers of HTTP: `{"error": "…"}` in one sentence, never a stack trace."""

import secrets

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from lakeloop.core import logs
from lakeloop.serving.answers import RefusedError

log = logs.get(__name__)


def refusal(status: int, sentence: str, retry_after: int | None = None) -> JSONResponse:
    """A sentence as an answer."""
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return JSONResponse({"error": sentence}, status, headers)


def add_refusals(app: FastAPI, listing: str) -> None:
    """Let an application refuse in sentences, and defects too; `listing` is what tells what there is."""

    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> JSONResponse:
        return refusal(error.status, error.sentence, error.retry_after)

    @app.exception_handler(RequestValidationError)
    async def not_valid(_: Request, error: RequestValidationError) -> JSONResponse:
        problems = (f"{'.'.join(str(part) for part in e['loc'][1:]) or 'body'}: {e['msg']}" for e in error.errors())
        return refusal(400, "; ".join(problems))

    @app.exception_handler(HTTPException)
    async def not_routed(_: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 404:
            return refusal(404, f"there is no such address; {listing} lists what there is")
        return refusal(error.status_code, str(error.detail))

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> JSONResponse:
        reference = secrets.token_hex(4)
        log.error("request failed", reference=reference, path=request.url.path, exc_info=error)
        return refusal(500, f"the request met a defect of the server; its log has the reference {reference}")
