"""Proof that the tests see: faults in what the package means, and a program that shows that the tests kill each one.

Belongs here: the faults (`faults`) and the program that applies them, one at a time, to a copy (`python -m
seq_assets_tests.mutants`). Not here: the tests that kill them; those stand where the code's mirror is.
"""
