"""Benchmarks: the platform beside what people would write instead, on one machine, on the same data.

`python -m benchmarks --help` says what can be run; `README.md` explains the method and has the last results. Belongs here:
data, competitors, measuring, judging. Nothing of it is installed with the package.
"""
