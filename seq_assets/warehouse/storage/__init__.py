"""Where tables and files live: folders and S3, Parquet files, Iceberg tables."""
