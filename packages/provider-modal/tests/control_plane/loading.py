"""The module of the app as it is imported afresh, which is how it reads what to deploy; also from changed sources."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pointsman_modal_app.settings import VARIABLE

PACKAGE = "pointsman_modal_app"


def sources() -> Path:
    """The folder of the package."""
    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


@contextmanager
def loaded(deployment: Mapping[str, Any] | None = None, *, folder: Path | None = None) -> Iterator[Any]:
    """``pointsman_modal_app.app``, from a copy of the package in `folder` if there is one. Deploy it inside."""
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == PACKAGE}
    for name in before:
        del sys.modules[name]
    os.environ[VARIABLE] = json.dumps(dict(deployment or {}))
    if folder is not None:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield importlib.import_module(f"{PACKAGE}.app")
    finally:
        if folder is not None:
            sys.path.remove(str(folder))
        del os.environ[VARIABLE]
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
            del sys.modules[name]
        sys.modules.update(before)
