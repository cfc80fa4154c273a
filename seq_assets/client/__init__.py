"""What a notebook sees: handles of published versions, and their rows in batches."""
