"""`opssight` by another name."""

from __future__ import annotations

from opssight.cli import main

if __name__ == "__main__":
    main()
