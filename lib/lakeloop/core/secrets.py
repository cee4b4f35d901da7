"""Secrets by reference: `${secret:name}` in a declaration, the value only at the moment of use, never printed."""

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, Secret
from pydantic_core import PydanticCustomError

from lakeloop.core.errors import SecretMissingError

REFERENCE = re.compile(r"\$\{secret:([A-Za-z0-9_.-]+)\}")


def _require_reference(value: Any) -> Any:
    text = value.get_secret_value() if isinstance(value, Secret) else value
    if not isinstance(text, str) or not REFERENCE.fullmatch(text):
        message = "a secret is given by reference, as ${secret:name}; its value does not belong in a file"
        raise PydanticCustomError("secret", message)
    return value


Written = Annotated[str, Field(pattern=f"^{REFERENCE.pattern}$")]
SecretReference = Annotated[Secret[str], BeforeValidator(_require_reference, json_schema_input_type=Written)]


def resolve(reference: Secret[str], folder: Path | None = None) -> str:
    """The value of a reference: the file of that name in `folder`, else LAKELOOP_SECRET_<NAME> in the environment.

    Raises SecretMissingError that names both places.
    """
    match = REFERENCE.fullmatch(reference.get_secret_value())
    name = match.group(1) if match else ""
    if folder is not None and (folder / name).is_file():
        return (folder / name).read_text(encoding="utf-8").rstrip("\n")
    variable = "LAKELOOP_SECRET_" + re.sub(r"\W", "_", name).upper()
    if variable not in os.environ:
        where = f"the file {folder / name} or " if folder is not None else ""
        raise SecretMissingError(f"the secret '{name}' has no value: put it into {where}the variable {variable}")
    return os.environ[variable]
