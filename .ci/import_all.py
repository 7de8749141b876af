"""Imports every module of the packages it is given; with --extras-are-missing, those that want one may not load."""

from __future__ import annotations

import importlib
import pkgutil
import sys

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
