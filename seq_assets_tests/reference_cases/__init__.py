"""Hypothesis strategies for what the reference and the engines are given: texts, contracts, whole sources.

Belongs here: what may be in a model file and in source files, the nastier the better. Not here: what it means (`reference`).
"""
