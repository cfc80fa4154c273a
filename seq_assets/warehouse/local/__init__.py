"""The local warehouse: DuckDB reads, checks and sorts out of core; the Arrow kernel sequences; local files and SQLite publish.

One module per step of the way: `casts` and `ingest_sql` (the contract as SQL), `ingest` and `sequencing` (the two plans), `audit`
(the blocking conditions), `files` (writing Parquet), `engine` (DuckDB), `warehouse` (the interface).
"""
