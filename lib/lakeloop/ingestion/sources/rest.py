"""Paged HTTP APIs. What they answer is landed as files first, so that a batch can be read again after a kill."""

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import requests
from pyspark.sql import SparkSession
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from lakeloop.core.connections import RestConnection
from lakeloop.core.errors import SourceError
from lakeloop.ingestion.source_specs import RestSource
from lakeloop.ingestion.sources.files.numbering import read_lines
from lakeloop.ingestion.sources.line_parsers import form_findings, parse_json
from lakeloop.ingestion.sources.protocol import Ended, Extract, Progress
from lakeloop.lake.ledger import Plan
from lakeloop.lake.storage import filesystem
from lakeloop.lake.storage_failures import storage_explained

RETRIED = (429, 500, 502, 503, 504)


@dataclass(frozen=True)
class RestReader:
    """Reads numbered pages in order, a batch at a time.

    Where the API stops answering, the pages before that are a batch of their own, and the next batch goes on from the
    page that failed.
    """

    spark: SparkSession
    connection: RestConnection
    token: str
    spec: RestSource
    landing: str

    def plan(self, last: Plan | None, progress: Progress) -> Plan | None:
        """Fetch and land all pages that are new. Raises SourceError when not even the first page can be had."""
        start: dict[str, Any] = {"since": None, "next_page": 1, "greatest": None}
        reached = last.details if last else start
        resumes = reached["next_page"] > 1
        since = reached["since"] if resumes else reached["greatest"]
        greatest, page, records = reached["greatest"], reached["next_page"], 0
        folder = f"{self.landing}/{uuid.uuid4().hex}"
        files: dict[str, str] = {}
        failure: str | None = None
        try:
            for number, url, found in self._pages(page, since):
                page, records = number + 1, records + len(found)
                if found:
                    files[_land(folder, number, found)] = url
                    greatest = self._greatest(greatest, found)
                progress(f"page {number}, {records:,} records")
            page = 1
        except SourceError as error:
            if not files:
                raise
            failure = f"{error}; pages before it have landed, the next run goes on from page {page}"
        if not files:
            return None
        position = {"since": since, "next_page": page, "greatest": greatest}
        summary = f"{records:,} records" + (f" since {since}" if since else "")
        return Plan({**position, "folder": folder, "files": files}, summary, failure)

    def read(self, plan: Plan) -> Extract:
        """The landed records, each with its page and its place in it."""
        return Extract(parse_json(read_lines(self.spark, plan.details["files"]), self.spec.fields), form_findings())

    def finish(self, ended: Ended) -> None:
        """Nothing is noted."""

    def release(self, plan: Plan) -> None:
        """Delete the landed pages; bronze has their records."""
        system, path = filesystem(plan.details["folder"])
        system.delete_dir(path)

    def _pages(self, page: int, since: str | None) -> Iterator[tuple[int, str, list[dict[str, Any]]]]:
        paginate = self.spec.paginate
        with self._session() as session:
            while True:
                query: dict[str, str | int] = {paginate.page_param: page, paginate.size_param: paginate.size}
                if self.spec.incremental and since is not None:
                    query[self.spec.incremental.param] = since
                url, found = self._fetch(session, query)
                yield page, url, found
                if len(found) < paginate.size:
                    return
                page += 1

    def _session(self) -> requests.Session:
        connection = self.connection
        retry = Retry(
            total=connection.retries,
            status_forcelist=RETRIED,
            allowed_methods=["GET"],
            backoff_factor=connection.backoff_seconds,
            backoff_jitter=connection.backoff_seconds,
            raise_on_status=False,
        )
        session = requests.Session()
        session.mount("http://", HTTPAdapter(max_retries=retry))
        session.mount("https://", HTTPAdapter(max_retries=retry))
        session.headers["Authorization"] = f"Bearer {self.token}"
        return session

    def _fetch(self, session: requests.Session, query: dict[str, str | int]) -> tuple[str, list[dict[str, Any]]]:
        address = self.connection.base_url.rstrip("/") + self.spec.path
        where = f"{self.spec.rest}: {address} page {query[self.spec.paginate.page_param]}"
        try:
            answer = session.get(address, params=query, timeout=self.connection.timeout_seconds, allow_redirects=False)
        except requests.RequestException as error:
            raise SourceError(
                f"{where}: no answer after {self.connection.retries} retries ({type(error).__name__}); "
                "check the address and that the service is up"
            ) from error
        if answer.status_code in (401, 403):
            raise SourceError(f"{where}: the token was refused (status {answer.status_code}); renew the secret")
        if answer.status_code in RETRIED:
            raise SourceError(f"{where}: status {answer.status_code} after {self.connection.retries} retries")
        if answer.status_code != requests.codes.ok:
            raise SourceError(f"{where}: status {answer.status_code}, expected 200; check the path")
        try:
            found = answer.json()[self.spec.records]
        except (requests.JSONDecodeError, KeyError, TypeError) as error:
            found_instead = f"{answer.headers.get('Content-Type', 'unknown type')}: {answer.text[:80]!r}"
            raise SourceError(
                f"{where}: expected a JSON object with the list '{self.spec.records}', found {found_instead}"
            ) from error
        if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
            raise SourceError(f"{where}: '{self.spec.records}' is not a list of objects")
        return address + f"?{self.spec.paginate.page_param}={query[self.spec.paginate.page_param]}", found

    def _greatest(self, greatest: str | None, found: list[dict[str, Any]]) -> str | None:
        if self.spec.incremental is None:
            return None
        cursors = [
            str(record[self.spec.incremental.cursor])
            for record in found
            if record.get(self.spec.incremental.cursor) is not None
        ]
        return max([*cursors, *([greatest] if greatest is not None else [])], key=_meaning, default=None)


def _meaning(cursor: str) -> tuple[int, Any]:
    """What orders cursors: numbers by value, times by instant (UTC where no zone is given), all else as text."""
    try:
        number = Decimal(cursor)
    except InvalidOperation:
        try:
            moment = dt.datetime.fromisoformat(cursor)
        except ValueError:
            return 2, cursor
        return 1, moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return (0, number) if number.is_finite() else (2, cursor)


def _land(folder: str, number: int, records: list[dict[str, Any]]) -> str:
    system, path = filesystem(folder)
    name = f"page-{number:06d}.jsonl"
    # A lone surrogate is no text: it is written as bytes that make its record malformed.
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    with storage_explained(folder):
        system.create_dir(path, recursive=True)
        with system.open_output_stream(f"{path}/{name}") as stream:
            stream.write(text.encode(errors="surrogatepass"))
    return f"{folder}/{name}"
