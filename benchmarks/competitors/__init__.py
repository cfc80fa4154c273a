"""What people would write instead: one script per form, each a program of its own that loads nothing of the platform.

All do the same task (`benchmarks.task`), and less than the platform does: no contract, no split, no audit, no version. Every
form that was tried stays here; the fastest of a library is what the platform is compared with.
"""
