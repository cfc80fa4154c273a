"""Inputs that nobody meant to write, through the real command line: `make fuzz`.

`seeds` are small inputs that are right, `mutating` makes others of them, `running` gives those to commands in processes with
bounds, and judges what they say.
"""
