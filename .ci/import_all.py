"""Imports every module of the packages it is given; with --extras-are-missing, those that want one may not load.

Whatever they import, no vendor's SDK comes with it but those that the packages themselves depend on.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from importlib.metadata import packages_distributions, requires

SDKS = {"blaxel", "huggingface_hub", "modal", "ollama", "openai", "sambanova"}

packages = [name for name in sys.argv[1:] if not name.startswith("-")]
extras_are_missing = "--extras-are-missing" in sys.argv

for package in packages:
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if not extras_are_missing or (error.name or package).partition(".")[0] in packages:
                raise
            print(f"{module.name} needs an extra: {error}")

dists = {name for package in packages for name in packages_distributions().get(package, [])}
wanted = {re.split(r"[^a-z0-9_]", line.lower().replace("-", "_"))[0] for dist in dists for line in requires(dist) or ()}
if strangers := sorted(SDKS.intersection(sys.modules) - wanted):
    sys.exit(f"{', '.join(packages)} imported {', '.join(strangers)}, which it does not depend on")
