"""`python -m seq_assets`: the command line."""

from seq_assets.cli import main

main()
