"""`AthenaWarehouse`: the warehouse interface on Athena, S3 and the Glue catalog."""
