"""One order for the commits of several tables: what stands in `_position` and the time that a change happened at."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

Place = tuple[int, int]  # the number of a commit, and its time in microseconds since 1970


class Commit(NamedTuple):
    """A version of a table and when it was made, in milliseconds since 1970."""

    table: str
    version: int
    at: int


@dataclass(frozen=True)
class CommitOrder:
    """The places of commits, the number that comes next and the time of the last one.

    Of each table `places` has the version that is first and, from there on, a place per version; None for a version
    that brought and took no rows.
    """

    places: Mapping[str, tuple[int, Sequence[Place | None]]]
    record: int
    at: int

    @classmethod
    def of(cls, wholes: Sequence[Commit], commits: Iterable[Commit], record: int, at: int) -> Self:
        """Places from the number `record` on and later than `at`: versions that are read as a whole, then commits.

        The whole ones have one time, the latest of theirs. Commits follow by their times, those of a table by their
        versions; times grow, by a microsecond where clocks do not.
        """
        found: dict[str, dict[int, Place]] = {}
        if wholes:
            at = max(at + 1, *(commit.at * 1000 for commit in wholes))
            found = {whole.table: {whole.version: (record + number, at)} for number, whole in enumerate(wholes)}
            record += len(wholes)
        for commit in sorted(_with_growing_times(commits), key=lambda each: (each.at, each.table, each.version)):
            at = max(commit.at * 1000, at + 1)
            found.setdefault(commit.table, {})[commit.version] = (record, at)
            record += 1
        places = {
            table: (min(versions), [versions.get(version) for version in range(min(versions), max(versions) + 1)])
            for table, versions in found.items()
        }
        return cls(places, record, at)

    @property
    def as_json(self) -> dict[str, Any]:
        """The order in JSON values, as it stands in a plan."""
        return {"places": dict(self.places), "record": self.record, "at": self.at}

    @classmethod
    def of_json(cls, values: Mapping[str, Any]) -> Self:
        """What `as_json` gave."""
        return cls(values["places"], values["record"], values["at"])


def _with_growing_times(commits: Iterable[Commit]) -> Iterable[Commit]:
    latest: dict[str, int] = {}
    for commit in sorted(commits, key=lambda each: (each.table, each.version)):
        latest[commit.table] = max(commit.at, latest.get(commit.table, 0))
        yield commit._replace(at=latest[commit.table])
