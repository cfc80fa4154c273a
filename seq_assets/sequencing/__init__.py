"""The domain: what a sequence dataset is, and how one linear pass makes it.

Belongs here: plans (what to compute), table schemas, windows, the streaming Arrow kernel, accounting, the bare operation.
Not here: Dagster, files, engines, catalogs. Everything is a pure function of values and Arrow batches.
"""
