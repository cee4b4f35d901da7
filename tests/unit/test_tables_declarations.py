"""What a source of tables may declare, how tables are united, and the order of their commits; without Spark."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lakeloop.core.errors import SourceError
from lakeloop.ingestion.source_specs import TablesSource
from lakeloop.ingestion.sources.tables.commit_order import Commit, CommitOrder
from lakeloop.ingestion.sources.tables.uniting import UnitedColumn, unite_columns
from lakeloop.ingestion.spec import PipelineSpec

CRM, SHOP = "silver.crm", "silver.shop"
MERGE = {"table": "gold.people", "mode": "merge", "keys": ["id"]}


def spec_of(source: dict[str, Any], sink: dict[str, Any] | None = None, **further: Any) -> PipelineSpec:
    declared = {"pipeline": "people", "description": "People", "source": source, "sink": sink or {"table": "gold.p"}}
    return PipelineSpec.model_validate(declared | further)


def problem(source: dict[str, Any], sink: dict[str, Any] | None = None, **further: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        spec_of(source, sink, **further)
    return str(caught.value)


def test_tables_of_the_lake_are_what_the_pipeline_waits_for() -> None:
    spec = spec_of({"tables": [CRM, SHOP]})

    assert isinstance(spec.source, TablesSource)
    assert (spec.inputs, spec.looked_into) == ({CRM, SHOP}, set())
    assert spec.source.data_sets == (CRM, SHOP)
    assert not spec.has_changes


def test_tables_of_a_folder_are_no_tables_of_the_lake() -> None:
    spec = spec_of({"tables": ["crm/customers"], "folder": "drop"})

    assert isinstance(spec.source, TablesSource)
    assert (spec.inputs, spec.source.data_sets) == (set(), ("files:drop/crm/customers",))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"tables": []}, "at least 1 item"),
        ({"tables": [CRM, CRM]}, "silver.crm stands twice; keep one"),
        ({"tables": ["Crm"]}, "'Crm' is no table of the lake; write schema.name in lower case"),
        ({"tables": ["../crm"], "folder": "drop"}, "'../crm' leads out of the folder"),
        ({"tables": [CRM], "lacking": ["phone"]}, "lacking belongs to several tables"),
        ({"tables": [CRM], "max_batches": 0}, "greater than 0"),
    ],
)
def test_a_declaration_that_would_do_something_else_is_refused(source: dict[str, Any], said: str) -> None:
    assert said in problem(source)


def test_changes_need_a_sink_that_takes_them_in_their_order() -> None:
    changes = {"tables": [CRM], "changes": True}

    assert spec_of(changes, MERGE | {"history": "scd2"}).has_changes
    assert "changes need a sink with mode: merge" in problem(changes)
    assert "leave sequence_by out" in problem(changes, MERGE | {"sequence_by": "at"})
    assert "dedupe: several changes of a key" in problem(changes, MERGE, transforms=[{"dedupe": {"keys": ["id"]}}])
    assert "only the newest rows would stay" in problem({"tables": [CRM]}, {"table": "gold.p", "mode": "overwrite"})


def test_a_change_feed_belongs_to_a_table_whose_rows_change() -> None:
    assert spec_of({"tables": [CRM]}, MERGE | {"change_feed": True}).sink.change_feed
    assert "change_feed belongs to a table whose rows change" in problem(
        {"tables": [CRM]}, {"table": "gold.p", "change_feed": True}
    )


def united(crm: dict[str, str], shop: dict[str, str], **options: Any) -> dict[str, UnitedColumn]:
    declared: dict[str, Any] = {"lacking": (), "texts": (), "table_column": None}
    return unite_columns({CRM: crm, SHOP: shop}, **(declared | options))


def test_columns_are_one_by_their_name_whatever_their_place_and_case() -> None:
    assert united({"id": "int", "name": "string"}, {"Name": "string", "id": "int"}) == {
        "id": UnitedColumn("int", {CRM: "id", SHOP: "id"}),
        "name": UnitedColumn("string", {CRM: "name", SHOP: "Name"}),
    }


def test_a_column_that_a_table_lacks_is_declared_or_refused() -> None:
    crm, shop = {"id": "int", "phone": "string"}, {"id": "int"}

    with pytest.raises(SourceError, match=r"silver\.shop has no column phone, which silver\.crm has; declare `lacking"):
        united(crm, shop)
    assert united(crm, shop, lacking=("phone",))["phone"] == UnitedColumn("string", {CRM: "phone"})
    with pytest.raises(SourceError, match=r"none of silver\.crm, silver\.shop has a column fone; did you mean 'phone'"):
        united(crm, shop, lacking=("fone",))


@pytest.mark.parametrize(
    ("types", "proposed"),
    [
        (("int", "string"), "int"),
        (("bigint", "int"), "bigint"),
        (("decimal(10,2)", "string"), '"decimal(10,2)"'),
        (("decimal(9,2)", "decimal(12,2)"), '"decimal(12,2)"'),
        (("date", "timestamp"), "timestamp"),
        (("boolean", "int"), "string"),
    ],
)
def test_types_that_differ_are_named_with_the_cast_that_helps(types: tuple[str, str], proposed: str) -> None:
    crm, shop = ({"v": type_} for type_ in types)

    with pytest.raises(SourceError) as caught:
        united(crm, shop)

    assert f"v is {types[0]} in {CRM} and {types[1]} in {SHOP}" in str(caught.value)
    assert f"`- cast: {{v: {proposed}}}`" in str(caught.value)
    assert united(crm, shop, texts={"v"})["v"].type == "string"


def test_no_cast_makes_a_list_a_text() -> None:
    with pytest.raises(SourceError, match="no cast makes one of them the other"):
        united({"v": "array<int>"}, {"v": "string"}, texts={"v"})


def test_a_column_for_the_table_has_a_name_of_its_own() -> None:
    with pytest.raises(SourceError, match=r"silver\.shop has a column Source of its own"):
        united({"id": "int"}, {"id": "int", "Source": "int"}, table_column="source", lacking=("Source",))


def test_commits_stand_in_the_order_of_their_times_behind_tables_that_are_read_whole() -> None:
    order = CommitOrder.of(
        [Commit(SHOP, 4, 90)], [Commit(CRM, 7, 300), Commit(CRM, 5, 100), Commit("silver.web", 1, 200)], 10, 95_000
    )

    assert order.places == {
        SHOP: (4, [(10, 95_001)]),
        CRM: (5, [(11, 100_000), None, (13, 300_000)]),
        "silver.web": (1, [(12, 200_000)]),
    }
    assert (order.record, order.at) == (14, 300_000)
    assert CommitOrder.of_json(order.as_json) == order


COMMITS = st.dictionaries(st.tuples(st.sampled_from([CRM, SHOP]), st.integers(0, 9)), st.integers(0, 5), max_size=12)


@given(commits=COMMITS, at=st.integers(0, 7_000))
def test_times_and_numbers_grow_with_the_versions_of_each_table_whatever_clocks_say(
    commits: dict[tuple[str, int], int], at: int
) -> None:
    order = CommitOrder.of([], [Commit(*version, time) for version, time in commits.items()], 3, at)

    found = [place for _, places in order.places.values() for place in places if place]
    assert sorted(number for number, _ in found) == list(range(3, 3 + len(commits)))
    in_order = sorted(found)
    assert all(earlier[1] < later[1] for earlier, later in pairwise(in_order))
    assert all(time > at for _, time in found)
    for first, places in order.places.values():
        numbers = [place[0] for place in places if place]
        assert numbers == sorted(numbers)
        assert places[0] is not None
        assert first >= 0


def test_every_example_of_the_page_is_a_declaration() -> None:
    page = (Path(__file__).parents[2] / "docs/tables.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)

    found = [PipelineSpec.model_validate(yaml.safe_load(example)) for example in examples]

    assert [(spec.pipeline, spec.has_changes) for spec in found] == [
        ("customers_all", False),
        ("customers_history", True),
        ("customers", False),
        ("partner_orders", False),
    ]
