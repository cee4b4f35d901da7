"""The catalog: which data sets there are, what their columns mean, whose they are, and where they come from.

Enters: the declarations of a project, and the schemas of those tables that exist. Leaves: data sets, the flows between
their columns, and OpenLineage's events. Nothing is kept here and no Spark is started. May import the rooms from
`monitoring` down.
"""

from lakeloop.catalog.datasets import Catalog, CatalogColumn, DataSet, Relation
from lakeloop.catalog.drawing import load_catalog
from lakeloop.catalog.lineage import Field, Flow
from lakeloop.catalog.searching import Hit, search

__all__ = ["Catalog", "CatalogColumn", "DataSet", "Field", "Flow", "Hit", "Relation", "load_catalog", "search"]
