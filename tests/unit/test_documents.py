from pathlib import Path

import pytest
from pydantic import Field

from lakeloop.core.documents import Declaration, Document, propose
from lakeloop.core.errors import ConfigError, LakeloopError, SecretMissingError


class Limits(Declaration):
    low: int = 0
    high: int = Field(le=100)


class Settings(Declaration):
    name: str
    limits: Limits | None = None
    tags: tuple[str, ...] = ()


def load(folder: Path, text: str, name: str = "a.yml") -> Document:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return Document.load(file)


def refusal(folder: Path, text: str) -> str:
    """What the user reads, without the folder's path."""
    with pytest.raises(LakeloopError) as caught:
        load(folder, text).parse(Settings)
    return str(caught.value).replace(f"{folder}/", "")


def test_a_document_becomes_the_declared_model(tmp_path: Path) -> None:
    parsed = load(tmp_path, "name: x\nlimits:\n  high: 7\ntags: [a, b]\n").parse(Settings)
    assert parsed == Settings(name="x", limits=Limits(high=7), tags=("a", "b"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n# comment\nnam: x\n", "a.yml:3: unknown key 'nam'; did you mean 'name'? Allowed: limits, name, tags"),
        ("name: x\nlimits:\n  hihg: 3\n", "a.yml:3: unknown key 'hihg'; did you mean 'high'? Allowed: high, low"),
        ("name: x\nqqq: 3\n", "a.yml:2: unknown key 'qqq'; Allowed: limits, name, tags"),
        ("tags: []\n", "a.yml:1: name: Field required"),
        (
            "name: x\nlimits:\n  low: 1\n  high: 101\n",
            "a.yml:4: limits.high: Input should be less than or equal to 100 (found 101)",
        ),
        ("name: x\ntags:\n  - a\n  - 3\n", "a.yml:4: tags.1: Input should be a valid string (found 3)"),
        ("name: x\nlimits: {low: 1}\n", "a.yml:2: limits.high: Field required"),
    ],
)
def test_a_wrong_value_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(tmp_path, text) == message


def test_every_problem_of_a_document_is_told_at_once(tmp_path: Path) -> None:
    assert refusal(tmp_path, "name: 1\ntags: 2\n").splitlines() == [
        "a.yml:1: name: Input should be a valid string (found 1)",
        "a.yml:2: tags: Input should be a valid tuple (found 2)",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nname: y\n", "a.yml:2: the key 'name' stands twice in the same mapping; keep one"),
        ("limits:\n  low: 1\n  low: 2\n", "a.yml:3: the key 'low' stands twice in the same mapping; keep one"),
        ("name: [a\n", "a.yml:2: not valid YAML"),
        ("name: x\n\tlimits: 3\n", "a.yml:2: not valid YAML"),
        ("name: x\n---\nname: y\n", "a.yml:2: not valid YAML"),
        ("name: !!python/name:os.system x\n", "a.yml:1: not valid YAML"),
        ("name: \x07\n", "a.yml: not valid YAML"),
        ("name: x\ntags: [2024-02-30]\n", "a.yml:2: not valid YAML: day is out of range for month"),
        ("name: x\n? [a, b]\n: 3\n", "a.yml:2: a key is a text, found a list or a mapping"),
        ("- a\n- b\n", "a.yml:1: expected a mapping of keys to values, found list"),
        ("just text\n", "a.yml:1: expected a mapping of keys to values, found str"),
    ],
)
def test_what_is_no_mapping_in_yaml_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert str(caught.value).replace(f"{tmp_path}/", "").startswith(message)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yml").write_bytes(b"name: M\xfcller\n")
    for name in ("latin.yml", "missing.yml"):
        with pytest.raises(ConfigError, match=f"{name}: cannot be read"):
            Document.load(tmp_path / name)


def test_a_key_is_the_text_as_written(tmp_path: Path) -> None:
    values = load(tmp_path, "on: 1\nno: 2\n7: 3\n2026-01-01: 4\n").values
    assert values == {"on": 1, "no": 2, "7": 3, "2026-01-01": 4}


def test_an_empty_file_is_an_empty_mapping(tmp_path: Path) -> None:
    assert load(tmp_path, "# nothing yet\n").values == {}


def test_merged_keys_can_be_overridden_and_keep_their_lines(tmp_path: Path) -> None:
    text = "one: &one\n  low: 1\n  high: 2\ntwo: &two\n  <<: *one\n  high: 9\nthree: *two\n"
    document = load(tmp_path, text)
    assert document.values["two"] == document.values["three"] == {"low": 1, "high": 9}
    assert document.place(("two", "low")).endswith("a.yml:2")
    assert document.place(("two", "high")).endswith("a.yml:6")


def test_the_overlay_merges_mappings_and_replaces_everything_else(tmp_path: Path) -> None:
    below = load(tmp_path, "name: x\nlimits:\n  low: 1\n  high: 2\ntags: [a, b]\n", "below.yml")
    over = load(tmp_path, "\nlimits: {high: 9}\ntags: [c]\n", "over.yml")
    merged = below.overlaid(over)
    assert merged.values == {"name": "x", "limits": {"low": 1, "high": 9}, "tags": ["c"]}
    assert below.values["limits"] == {"low": 1, "high": 2}
    assert merged.place(("limits", "low")) == f"{tmp_path}/below.yml:3"
    assert merged.place(("limits", "high")) == f"{tmp_path}/over.yml:2"
    assert merged.place(("tags", 0)) == f"{tmp_path}/over.yml:3"


def test_the_place_of_something_missing_is_that_of_what_encloses_it(tmp_path: Path) -> None:
    document = load(tmp_path, "\nname: x\nlimits:\n  low: 1\n")
    assert document.place(("limits", "high")) == f"{tmp_path}/a.yml:3"
    assert document.place(()) == f"{tmp_path}/a.yml:2"
    assert document.place(("nothing",)) == f"{tmp_path}/a.yml:2"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("${env:LL_SET}", "there"),
        ("a-${env:LL_SET}-${env:LL_SET}", "a-there-there"),
        ("${env:LL_UNSET:-else}", "else"),
        ("'${env:LL_UNSET:-}'", ""),
        ("${env:LL_EMPTY:-else}", ""),
        ("${env:not a name}", "${env:not a name}"),
    ],
)
def test_environment_references_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, found: str
) -> None:
    monkeypatch.setenv("LL_SET", "there")
    monkeypatch.setenv("LL_EMPTY", "")
    monkeypatch.delenv("LL_UNSET", raising=False)
    assert load(tmp_path, f"name: {text}\n").parse(Settings).name == found


def test_every_unset_variable_is_named_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LL_UNSET", raising=False)
    monkeypatch.delenv("LL_UNSET_TOO", raising=False)
    with pytest.raises(SecretMissingError) as caught:
        load(tmp_path, "name: ${env:LL_UNSET}\ntags:\n  - a\n  - ${env:LL_UNSET_TOO}\n").parse(Settings)
    one, two = str(caught.value).splitlines()
    assert one == (
        f"{tmp_path}/a.yml:1: the environment variable LL_UNSET is not set; set it, or write ${{env:LL_UNSET:-default}}"
    )
    assert two.startswith(f"{tmp_path}/a.yml:4: the environment variable LL_UNSET_TOO")


def test_a_variable_outside_the_parsed_part_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LL_UNSET", raising=False)
    document = load(tmp_path, "one: {high: 1}\ntwo: {high: '${env:LL_UNSET}'}\n")
    assert document.parse(Limits, at=("one",)) == Limits(high=1)


def test_propose_lists_what_is_allowed_in_order() -> None:
    assert propose("custmers", ["usage", "customers"]) == "did you mean 'customers'? Allowed: customers, usage"
    assert propose("zzz", ["usage", "customers"]) == "Allowed: customers, usage"
