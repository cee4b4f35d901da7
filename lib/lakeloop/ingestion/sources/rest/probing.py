"""A look at an API: its first page, and nothing landed."""

from collections.abc import Iterator

import requests

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.http.answers import Failure
from lakeloop.ingestion.http.client import Client
from lakeloop.ingestion.http.service import Service
from lakeloop.ingestion.source_specs import RestSource
from lakeloop.ingestion.sources.probing import Check
from lakeloop.ingestion.sources.rest.fetching import REDIRECTS
from lakeloop.ingestion.sources.rest.paging import Pager
from lakeloop.ingestion.sources.rest.records import answer_of, expected_of, records_in

SHOWN = 40


def probe_api(service: Service, spec: RestSource) -> Iterator[Check]:
    """The checks of `Probed.probe`, on the first page that the API gives without a cursor and without a partition."""
    pager = Pager(spec.paginate)
    with Client(service) as client:
        address = client.address(spec.path)
        where = f"{spec.rest}: {address}"
        query = [(name, str(value)) for name, value in spec.parameters.items()]
        reply = client.get(
            address, [*query, *pager.query(pager.start())], most_bytes=spec.answer_bytes, redirects=REDIRECTS
        )
        if isinstance(reply, Failure):
            if reply.why != "refused":
                raise SourceError(f"{where}: {reply.reason}")
            yield Check("reachable", address)
            raise SourceError(f"{where}: {reply.reason}")
        yield Check("reachable", address)
        yield Check("permitted", f"status {reply.status}")
        if reply.status == requests.codes.no_content:
            yield Check("volume", "the first page is empty")
            return
        found = records_in(answer_of(reply, where, expected_of(spec.records), client.masked), spec.records, where)
    keys = list(dict.fromkeys(key for record in found if isinstance(record, dict) for key in record))
    yield _fields(keys, spec, where)
    yield Check("volume", f"{len(found):,} records on the first page")


def _fields(keys: list[str], spec: RestSource, where: str) -> Check:
    if not keys:
        return Check("schema", "the first page has no record to tell keys")
    declared = spec.declared_types or {}
    needed = (
        {spec.paths.get(column, column).partition(".")[0] for column in declared} if spec.explode is None else set()
    )
    if missing := sorted(needed - set(keys)):
        remedy = "mend `fields` or `records`"
        return Check("schema", f"{where} has {', '.join(keys[:SHOWN])} and no {', '.join(missing)}; {remedy}", ok=False)
    return Check("schema", f"{len(keys)} keys: {', '.join(keys[:SHOWN])}")
