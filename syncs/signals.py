"""What others may listen to without being imported from here."""

from __future__ import annotations

from django.dispatch import Signal

# run: Run — sent inside the transaction that ends it
run_finished = Signal()
