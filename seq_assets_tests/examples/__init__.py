"""Tests of `examples/`: a team's own project really embeds the platform."""
