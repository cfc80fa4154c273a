"""Warehouses: they execute plans, audit the finished files and publish them as versions of Iceberg tables.

`interface` is what every warehouse can do; `tables` is the publication that all share; `sources` reads what users have;
`local` executes on DuckDB and the Arrow kernel. Not here: Dagster, and what a sequence is (`seq_assets.sequencing`).
"""
