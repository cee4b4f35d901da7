"""Avro schemas by id: from files of the configuration, and from a registry over HTTP."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

import requests

from lakeloop.core.config import Project
from lakeloop.core.errors import ConfigError, SourceError
from lakeloop.ingestion.http.answers import Failure, parsed_object
from lakeloop.ingestion.http.client import Client
from lakeloop.ingestion.http.service import Service
from lakeloop.ingestion.source_specs.kafka import AvroMessages, KafkaSource
from lakeloop.ingestion.sources.kafka.avro import ONLY

SCHEMA_BYTES = 16 << 20


@dataclass(frozen=True)
class Registry:
    """A registry that answers `GET /schemas/ids/N`, as Confluent's does."""

    service: Service

    def find(self, id_: int) -> str | None:
        """The schema with an id, None where there is none. Raises SourceError for a registry that cannot be asked."""
        with Client(self.service) as client:
            address = client.address(f"/schemas/ids/{id_}")
            where = f"{self.service.name}: {address}"
            answer = client.get(address, most_bytes=SCHEMA_BYTES)
            if isinstance(answer, Failure):
                if answer.status == requests.codes.not_found:
                    return None
                raise SourceError(f"{where}: {answer.reason}")
            found = parsed_object(answer.body)
            if found is None or "schema" not in found:
                said = client.masked(repr(answer.body[:80].decode(errors="replace")))
                raise SourceError(f"{where}: expected a JSON object with `schema`, found {said}")
        if found.get("schemaType", "AVRO") != "AVRO" or found.get("references"):
            raise SourceError(
                f"{where}: this is no Avro schema that stands alone, and no other can be read; put one with its "
                "references resolved under `schemas`"
            )
        return require_record(str(found["schema"]), where)


@dataclass(frozen=True)
class Schemas:
    """The schemas that a source may need: those of files, and whom to ask for the others."""

    of_files: dict[int, str] = field(default_factory=dict)
    registry: Registry | None = None

    def find(self, ids: Iterable[int]) -> dict[int, str]:
        """The schemas with these ids, without those that nobody knows."""
        found = {id_: self.of_files.get(id_) or (self.registry.find(id_) if self.registry else None) for id_ in ids}
        return {id_: schema for id_, schema in found.items() if schema is not None}


def load_schemas(project: Project, spec: KafkaSource) -> dict[int, str]:
    """The schemas of files that a source declares; a path is relative to the folder of an environment, or of `base`.

    Raises ConfigError for a file that is missing or has no Avro record.
    """
    kind = spec.format.kind
    if not isinstance(kind, AvroMessages):
        return {}
    files = {ONLY: kind.schema_file} if kind.schema_file else {}
    files |= kind.registry.schemas if kind.registry else {}
    found = {}
    for id_, name in files.items():
        layers = [project.folder / layer / name for layer in (project.environment, "base")]
        path = next((layer for layer in layers if layer.is_file()), None)
        if path is None:
            raise ConfigError(f"schema file {name}: neither {layers[0]} nor {layers[1]} exists")
        try:
            found[id_] = require_record(path.read_text(encoding="utf-8"), str(path))
        except (SourceError, UnicodeDecodeError, OSError) as error:
            raise ConfigError(f"{error}") from error
    return found


def require_record(schema: str, where: str) -> str:
    """The schema; raises SourceError where it is not one of a record."""
    try:
        declared = json.loads(schema)
    except json.JSONDecodeError as error:
        raise SourceError(f"{where}: not JSON: {error}") from error
    if not isinstance(declared, dict) or declared.get("type") != "record" or not declared.get("fields"):
        raise SourceError(f"{where}: expected the Avro schema of a record with fields, found {schema[:80]!r}")
    return schema
