"""A production-like stack on one machine: S3, a Glue catalog, and an Athena that executes on a real Trino.

Belongs here: everything that stands in for AWS, and its tests. Not here: the product, which must not know this package, and
tests of the product, which only ask for a fixture. How to use it: docs/production_stack.md.
"""
