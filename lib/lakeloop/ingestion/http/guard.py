"""Where requests may go: the connection's own origin and the hosts it names, and no address that it is not itself at.

An API that is tricked, or its name server, must not make Lakeloop ask what only this machine can reach.
"""

import ipaddress
import socket
from dataclasses import dataclass
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import LocationParseError, NameResolutionError, NewConnectionError
from urllib3.util import Url, connection, parse_url

from lakeloop.core.connections import RestConnection

PORTS = {"http": 80, "https": 443}
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefusedError(Exception):
    """A name led to an address that the connection itself is not at."""


@dataclass(frozen=True)
class Guard:
    """The origin of a connection, the further hosts that it allows, and the kinds of addresses that it is at."""

    home: tuple[str, str, int]
    hosts: frozenset[tuple[str, int]]
    kinds: frozenset[str]

    @classmethod
    def of(cls, declared: RestConnection, *further: str) -> "Guard":
        """The guard of a connection; `further` are addresses that it declares besides, as its token_url."""
        home = _origin(parse_url(declared.base_url))
        entries = (parse_url(f"{home[0]}://{entry}") for entry in declared.allow_hosts)
        allowed = [_origin(entry)[1:] for entry in entries]
        kinds = {"public"}
        for _scheme, host, port in (home, *(_origin(parse_url(url)) for url in further)):
            kinds |= {kind_of(address) for address in _resolved(host, port)}
        return cls(home, frozenset(allowed), frozenset(kinds))

    def is_home(self, url: str) -> bool:
        """Whether an address has the connection's own scheme, host and port."""
        return _origin(parse_url(url)) == self.home

    def refusal(self, url: str) -> str | None:
        """Why a link is not followed; None: it leads to the connection's own origin or to an allowed host."""
        try:
            parsed = parse_url(url)
        except LocationParseError:
            return "to an address that is none"
        if parsed.scheme != self.home[0] or parsed.host is None:
            return f"from {self.home[0]} to {parsed.scheme or 'no scheme'}, which is never done"
        origin = _origin(parsed)
        if parsed.auth is not None:
            return "to an address with a user in it"
        if origin == self.home or origin[1:] in self.hosts:
            return None
        return f"to {origin[1]}:{origin[2]}, another origin; name it under allow_hosts of the connection if it may be"

    def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a name, each of a kind that is allowed. Raises AddressRefusedError, or OSError for none."""
        found = _resolved(host, port, strict=True)
        for address in found:
            if (kind := kind_of(address)) not in self.kinds:
                raise AddressRefusedError(f"{host} is at {address}, a {kind} address, which the base_url is not")
        return [str(address) for address in found]


def kind_of(address: Address) -> str:
    """`public`, or the kind of network that an address belongs to; one inside another counts by the inner one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return kind_of(inner)
    if address.is_loopback or address.is_unspecified:
        return "loopback"
    if address.is_link_local:
        return "link-local"
    if address.is_multicast:
        return "multicast"
    return "public" if address.is_global else "private"


def _origin(url: Url) -> tuple[str, str, int]:
    scheme = url.scheme or ""
    host = (url.host or "").strip("[]").lower()
    return scheme, host, url.port or PORTS.get(scheme, 0)


def _resolved(host: str, port: int, *, strict: bool = False) -> list[Address]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        if strict:
            raise
        return []
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


class GuardedAdapter(HTTPAdapter):
    """Connects to the very addresses that were checked, so that no second look-up gives others."""

    def __init__(self, guard: Guard, threads: int) -> None:
        self._guard = guard
        super().__init__(pool_maxsize=threads)

    def init_poolmanager(self, *args: Any, **settings: Any) -> None:
        """Let the pools make guarded connections."""
        super().init_poolmanager(*args, **settings)
        guard = self._guard

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return _connect(self, guard)

        class Secure(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return _connect(self, guard)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


def _connect(made_for: HTTPConnection, guard: Guard) -> socket.socket:
    port = made_for.port or PORTS["http"]
    try:
        addresses = guard.addresses(made_for.host, port)
    except socket.gaierror as error:
        raise NameResolutionError(made_for.host, made_for, error) from error
    last: OSError | None = None
    for address in addresses:
        try:
            return connection.create_connection(
                (address, port), made_for.timeout, made_for.source_address, made_for.socket_options
            )
        except OSError as error:
            last = error
    raise NewConnectionError(made_for, f"none of {len(addresses)} addresses takes a connection") from last
