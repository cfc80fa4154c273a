"""The local warehouse: DuckDB reads, checks and sorts out of core; the Arrow kernel sequences; local files and SQLite publish.

One module per step of the way: `casts` and `ingest_sql` (the contract as SQL), `ingest` (sources to raw observations),
`audit_raw` and `audit_sequences` (the blocking conditions, as far as they are DuckDB's own), `warehouse` (the interface),
`staging` (the same on S3 and the Glue catalog).
"""
