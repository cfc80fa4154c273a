"""The fixtures of the stack, for the tests of the stack."""

from seq_assets_tests.athena.fixtures import athena, athena_stack, production

__all__ = ["athena", "athena_stack", "production"]
