"""`python -m opssight …`: the same as `opssight …`."""

from __future__ import annotations

from opssight.cli import main

main()
