"""Masks: what a reader without the right to personal data sees in place of a value. NULL stays NULL.

A mask is part of the projection that a reader gets as the table, so that no filter, join or aggregate meets the value.
It is written twice, as SQL and over arrays, and a test holds the two to the same answers. A masked column is text.
"""

import hashlib
import hmac
from collections.abc import Callable
from functools import partial
from typing import Literal

import pyarrow as pa

from lakeloop.core.errors import ConfigError

Mask = Literal["redact", "hash", "partial"]
"""`redact`: `***`. `hash`: 32 hexadecimal digits, equal for equal values, not to be guessed without the masking key.
`partial`: `***` and the last four characters of a text of more than eight, else `***`."""

REDACTED = "***"
SHOWN_CHARACTERS, SHORTEST_SHOWN = 4, 9
DIGITS = 32


def has_one_text(kind: pa.DataType) -> bool:
    """Whether both engines write values of a type alike; of any other type every mask is `redact`."""
    types = pa.types
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(text or types.is_integer(kind) or types.is_boolean(kind) or types.is_date32(kind))


def masking_keys(secret: str | None) -> tuple[str, str]:
    """The inner and the outer key of the hash. Raises ConfigError when no secret is declared."""
    if not secret:
        raise ConfigError("a column has mask: hash, but access.yml has no masking_key; declare ${secret:…} there")
    return hmac.digest(secret.encode(), b"inner", "sha256").hex(), hmac.digest(
        secret.encode(), b"outer", "sha256"
    ).hex()


def masked_sql(quoted: str, kind: pa.DataType, mask: Mask, secret: str | None) -> str:
    """An expression over the quoted column."""
    text, shown = f"CAST({quoted} AS VARCHAR)", f"'{REDACTED}'"
    if has_one_text(kind) and mask == "hash":
        inner, outer = masking_keys(secret)
        digest = f"encode(sha256(concat('{inner}', {text})), 'hex')"
        shown = f"left(encode(sha256(concat('{outer}', {digest})), 'hex'), {DIGITS})"
    elif has_one_text(kind) and mask == "partial":
        tail = f"concat('{REDACTED}', right({text}, {SHOWN_CHARACTERS}))"
        shown = f"CASE WHEN character_length({text}) >= {SHORTEST_SHOWN} THEN {tail} ELSE '{REDACTED}' END"
    return f"CASE WHEN {quoted} IS NULL THEN NULL ELSE {shown} END"


def masked_array(values: pa.Array, mask: Mask, secret: str | None) -> pa.Array:
    """The same for an array of few rows."""
    shown: Callable[[str], str] | None = None
    if has_one_text(values.type) and mask == "hash":
        inner, outer = masking_keys(secret)
        shown = partial(_hashed, inner, outer)
    elif has_one_text(values.type) and mask == "partial":
        shown = _partial
    texts = values.cast(pa.string()) if has_one_text(values.type) else values
    masked = [None if text is None else shown(text) if shown else REDACTED for text in texts.to_pylist()]
    return pa.array(masked, pa.string())


def _hashed(inner: str, outer: str, text: str) -> str:
    digest = hashlib.sha256(f"{inner}{text}".encode()).hexdigest()
    return hashlib.sha256(f"{outer}{digest}".encode()).hexdigest()[:DIGITS]


def _partial(text: str) -> str:
    return REDACTED + text[-SHOWN_CHARACTERS:] if len(text) >= SHORTEST_SHOWN else REDACTED
