"""Where data sets are, as OpenLineage names them (https://openlineage.io/docs/spec/naming)."""

from typing import NamedTuple
from urllib.parse import urlsplit

from lakeloop.catalog.datasets import Catalog
from lakeloop.core.config import Project
from lakeloop.core.connections import (
    AnyConnection,
    Connection,
    FilesConnection,
    JdbcConnection,
    KafkaConnection,
    RestConnection,
)
from lakeloop.lake.storage import absolute

OWN = "lakeloop"  # for what has no address of its own, as a model


class Address(NamedTuple):
    """A namespace, which tells the system, and a name in it."""

    namespace: str
    name: str


def addresses(project: Project, catalog: Catalog) -> dict[str, Address]:
    """The address of each data set of a catalog. Raises what a connection that is not valid raises."""
    return {name: _address(project, name) for name in catalog.data_sets}


def _address(project: Project, name: str) -> Address:
    kind, _, rest = name.partition(":")
    if not rest:
        return _of_folder(f"{project.lake_root}/{name.replace('.', '/')}")
    if kind == "model":
        return Address(OWN, name)
    connection, _, inside = rest.partition("/")
    return _of_system(project.connections.parse(Connection, at=(connection,)).kind, inside)


def _of_system(connection: AnyConnection, inside: str) -> Address:
    match connection:
        case FilesConnection():
            return _of_folder(f"{absolute(connection.path)}/{inside}".rstrip("/"))
        case RestConnection():
            url = urlsplit(connection.base_url)
            return Address(f"{url.scheme}://{url.netloc.rpartition('@')[2]}", f"{url.path.rstrip('/')}/{inside}")
        case KafkaConnection():
            return Address(f"kafka://{connection.bootstrap_servers.partition(',')[0]}", inside)
        case JdbcConnection():
            url = urlsplit(connection.url.removeprefix("jdbc:"))
            if not url.netloc:  # a database in a file
                return Address("file", f"{url.path}/{inside}")
            schema = "" if "." in inside else "public."
            return Address(f"postgres://{url.netloc.rpartition('@')[2]}", f"{url.path.strip('/')}.{schema}{inside}")


def _of_folder(path: str) -> Address:
    url = urlsplit(path)
    if not url.scheme:
        return Address("file", path)
    return Address(f"{url.scheme.replace('s3a', 's3')}://{url.netloc}", url.path.strip("/"))
