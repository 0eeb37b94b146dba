"""The build's own tests: its scripts are imported from where `make` runs them."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))


@pytest.fixture
def root() -> Path:
    """The checkout."""
    return ROOT
