"""Data contracts by the Open Data Contract Standard (ODCS, version 3): written from pipelines, read into their parts.

Enters: a pipeline's declaration and the schemas of its tables, or a contract. Leaves: a contract, or the parts
`columns` and `rules` of a pipeline as YAML, with everything that has no place there as a comment.
"""

from lakeloop.catalog.contracts.exporting import contract_of
from lakeloop.catalog.contracts.importing import pipeline_part

__all__ = ["contract_of", "pipeline_part"]
