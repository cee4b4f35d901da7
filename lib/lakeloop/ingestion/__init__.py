"""Ingestion: sources into checked tables, one declared pipeline at a time.

Enters: a `PipelineSpec` and its connections. Leaves: a bronze record of every row with its verdict, a silver or gold
table of the good ones, and the ledger entry that says how many there were. May import `core`, `lake`,
`scoring` and `quality`.
"""
