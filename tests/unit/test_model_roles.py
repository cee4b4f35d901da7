"""Who answers for a key: by role, by share, and by the clock."""

from dataclasses import replace

import pytest

from lakeloop.lake.champions import Role, Switch
from lakeloop.scoring.release import Card
from lakeloop.scoring.scorer import Scorer
from lakeloop.serving.model_measures import Counts
from lakeloop.serving.model_roles import Line, Roles, Version, bucket
from tests.model_lake import COLUMNS, scorer

KEYS = [f"customer-{number}" for number in range(10_000)]


def version(number: int, role: Role = "champion", percent: float | None = None) -> Version:
    switch = Switch("churn", role, "promoted", number, "ann", "why", "run", percent=percent)
    card = Card("churn", "gold.customers", "id", [], [])
    return Version(switch, number, scorer(), card, None, Counts())


def keys_of_canary(percent: float) -> set[str]:
    roles = Roles(0.0, version(1), version(2, "canary", percent))
    return {key for key in KEYS if roles.chosen("churn", key).number == 2}


def test_a_share_that_grows_keeps_those_who_are_in() -> None:
    few, more = keys_of_canary(5), keys_of_canary(20)
    assert few < more
    assert (len(few) / 100, len(more) / 100) == (pytest.approx(5, abs=0.7), pytest.approx(20, abs=1.2))
    assert keys_of_canary(0) == set()
    assert keys_of_canary(100) == set(KEYS)


def test_a_key_falls_where_it_always_did() -> None:
    # blake2b of 8 bytes, as `python -c "hashlib.blake2b(b'churn\0c1', digest_size=8)"` gives it: another hash would
    # give every customer another version on the day of an upgrade.
    assert bucket("churn", "c1") == pytest.approx(30.36292041971769, abs=1e-9)
    assert bucket("churn", "c1") != bucket("prices", "c1")


def test_roles_change_at_their_moment_and_not_before() -> None:
    line = Line("churn", (Roles(200.0, version(2)), Roles(100.0, version(1))))
    found = [(at, roles.champion.number if (roles := line.at(at)) and roles.champion else None)
             for at in (99.9, 100.0, 199.999, 200.0, 1e12)]  # fmt: skip
    assert found == [(99.9, None), (100.0, 1), (199.999, 1), (200.0, 2), (1e12, 2)]


def test_a_row_may_have_the_fields_of_all_who_may_answer() -> None:
    other = replace(version(2, "canary", 50), scorer=Scorer({"age": "string", "region": "string"}, [], "binary"))
    assert dict(Roles(0.0, version(1), other).fields.columns) == {**COLUMNS, "region": "string"}
