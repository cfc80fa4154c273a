"""The tour of the UI: what people click in Dagster's pages, on real servers and in a real browser.

Belongs here: that a page shows what it should, and the pictures of `docs/ui.md`. Not here: what the webserver answers and the
daemon does, which takes no browser to test (`seq_assets_tests.assets`).
"""
