"""Lake: Delta tables by reference (`silver.customers`), written exactly once.

Enters: DataFrames and the batch that they belong to. Leaves: commits, versions, histories, the batch and run ledgers.
May import `core` only.
"""
