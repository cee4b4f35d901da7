"""Transforms: declared, pure steps from raw to conformed columns, in any order. None of them loses a row.

A value that cannot be converted becomes NULL and a finding that quarantines its row; a duplicate is only marked.
"""

from lakeloop.ingestion.transforms.casting import Cast, strict_cast, uncastable
from lakeloop.ingestion.transforms.columns import Rename, Split
from lakeloop.ingestion.transforms.conflicts import CONFLICTS
from lakeloop.ingestion.transforms.conformed import BECAUSE, DROPPED, Conformed, Known, Step, convert_columns
from lakeloop.ingestion.transforms.declaration import (
    Transform,
    conform,
    declared_severities,
    declared_types,
    is_by_row,
    read_as_text,
)
from lakeloop.ingestion.transforms.duplicates import Dedupe
from lakeloop.ingestion.transforms.survivorship import Survive

__all__ = [
    "BECAUSE",
    "CONFLICTS",
    "DROPPED",
    "Cast",
    "Conformed",
    "Dedupe",
    "Known",
    "Rename",
    "Split",
    "Step",
    "Survive",
    "Transform",
    "conform",
    "convert_columns",
    "declared_severities",
    "declared_types",
    "is_by_row",
    "read_as_text",
    "strict_cast",
    "uncastable",
]
