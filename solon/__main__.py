"""``python -m solon``: the same as ``solon``."""

from solon.cli import main

main()
