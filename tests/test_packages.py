import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ["constitution", "generator", "judge", "trainer", "solon"])
def test_a_package_is_the_one_of_this_checkout(name: str) -> None:
    assert Path(str(importlib.import_module(name).__file__)).parent == ROOT / name
