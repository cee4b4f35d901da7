"""Enrichment: columns of other tables, HTTP services and models beside rows of a batch, before its rules judge them.

Enters: conformed rows and what `enrich:` declares. Leaves: the same rows, not one more and not one less, with the added
columns and, per enrichment, how each row fared: `matched`, `stale`, `missing` or `fell_back`.
"""
