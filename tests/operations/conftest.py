"""What these tests share with those of commands."""

from tests.cli.conftest import surroundings

__all__ = ["surroundings"]
