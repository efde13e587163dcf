"""``python -m aurora_store.cli`` is ``aurora-store``."""

from aurora_store.cli import main

main()
