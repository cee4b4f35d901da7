import json
import traceback
from pathlib import Path

import pytest
from pydantic import ValidationError

from lakeloop.core.config import Project
from lakeloop.core.connections import Connection, JdbcConnection
from lakeloop.core.documents import Declaration, Document
from lakeloop.core.errors import ConfigError, SecretMissingError
from lakeloop.core.secrets import SecretReference, resolve


class Login(Declaration):
    user: str = "u"
    password: SecretReference


def reference(name: str = "db.pass-word") -> SecretReference:
    return Login.model_validate({"password": f"${{secret:{name}}}"}).password


def test_a_mounted_file_comes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKELOOP_SECRET_DB_PASS_WORD", "from the environment")
    assert resolve(reference()) == "from the environment"
    assert resolve(reference(), tmp_path) == "from the environment"
    (tmp_path / "db.pass-word").write_text(" from the file \n", encoding="utf-8")
    assert resolve(reference(), tmp_path) == " from the file "


def test_a_missing_value_names_both_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAKELOOP_SECRET_DB_PASS_WORD", raising=False)
    with pytest.raises(SecretMissingError) as caught:
        resolve(reference(), tmp_path)
    assert str(caught.value) == (
        f"the secret 'db.pass-word' has no value: put it into the file {tmp_path}/db.pass-word or the variable "
        "LAKELOOP_SECRET_DB_PASS_WORD"
    )
    with pytest.raises(SecretMissingError, match=r"put it into the variable LAKELOOP_SECRET_DB_PASS_WORD$"):
        resolve(reference())


def test_a_reference_prints_as_stars() -> None:
    login = Login.model_validate({"password": "${secret:db}"})
    for shown in (repr(login), str(login), str(login.model_dump()), login.model_dump_json(), str(login.password)):
        assert "secret:db" not in shown
    assert json.loads(login.model_dump_json())["password"] == "**********"


@pytest.mark.parametrize(
    "value", ["hunter2", 1234567, ["hunter2"], "${secret:a} hunter2", "x${secret:a}", "${secret:}", ""]
)
def test_a_value_in_the_place_of_a_reference_is_refused_and_never_shown(tmp_path: Path, value: object) -> None:
    file = tmp_path / "a.yml"
    file.write_text(json.dumps({"crm": {"user": "u", "password": value}}), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        Document.load(file).parse(Login, at=("crm",))
    assert str(caught.value) == (
        f"{file}:1: password: a secret is given by reference, as ${{secret:name}}; its value does not belong in a file"
    )
    whole = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in whole
    assert "1234567" not in whole


def test_a_secret_taken_from_the_environment_by_mistake_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LL_PASSWORD", "hunter2")
    file = tmp_path / "a.yml"
    file.write_text("password: ${env:LL_PASSWORD}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        Document.load(file).parse(Login)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_another_error_of_the_same_mapping_does_not_show_the_secret() -> None:
    for wrong in ({"pasword": "hunter2"}, {"password": "hunter2", "user": 1}, {"user": "u", "url": "hunter2"}):
        with pytest.raises(ValidationError) as caught:
            JdbcConnection.model_validate(wrong)
        assert "hunter2" not in str(caught.value)


def test_a_connection_asks_for_the_secrets_of_its_kind(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "local").mkdir()
    (tmp_path / "base/connections.yml").write_text(
        "db: {jdbc: {url: 'jdbc:postgresql://h/d', user: u, password: '${secret:a}'}}\n"
        "api: {rest: {base_url: 'http://h', auth: {bearer: '${secret:b}'}}}\n"
        "drop: {files: {path: /d}}\n"
    )
    project = Project(tmp_path)
    asked = {
        name: [secret.get_secret_value() for secret in project.connections.parse(Connection, at=(name,)).secrets]
        for name in project.connection_names()
    }
    assert asked == {"db": ["${secret:a}"], "api": ["${secret:b}"], "drop": []}
