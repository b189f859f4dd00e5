"""The rule for what is missing."""

import os

import pytest


def need(available: bool, what: str):
    """Skip with the reason unless `available`; where CI is set nothing may be skipped."""
    if not available:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{what} is missing; `make build` gets or builds it")
