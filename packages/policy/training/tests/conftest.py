"""The scripts of training are no package: they find each other beside themselves."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
