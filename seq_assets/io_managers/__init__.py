"""What Dagster needs of a warehouse: I/O managers, resources, and what it shows of a version.

Not here: how a plan is executed (`seq_assets.warehouse`), or the graph (`seq_assets.assets`).
"""
