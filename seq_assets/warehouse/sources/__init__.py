"""Sources: the files that users have, as streams of records with their positions.

`location` finds the files; one module per format reads them. Text formats become record batches of `TextRecords`' columns, the
same for every warehouse. Not here: types, validations and splits; those are the warehouse's work on the records.
"""
