"""Tests of what the benchmarks themselves compute; they measure nothing."""
