"""The local kernel, the naive reference and Trino give the same rows: generated models, a very long history, real data."""
