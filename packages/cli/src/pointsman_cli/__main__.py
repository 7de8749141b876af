"""``python -m pointsman_cli``."""

from .main import main

main()
