"""Settings, from where they come, and the keys among them.

`layers` reads files and environment, `settings` says what may be set, `providers` makes one provider's configuration,
`ledger` says where the ledger is, `secrets` keeps keys out of everything that is shown.
"""

from .layers import Origin
from .ledger import ledger_file, ledger_url, without_password
from .providers import Configured, configure, own_variable
from .secrets import RedactingLog, Redactor
from .settings import Engine, Routing, Settings

__all__ = [
    "Configured",
    "Engine",
    "Origin",
    "RedactingLog",
    "Redactor",
    "Routing",
    "Settings",
    "configure",
    "ledger_file",
    "ledger_url",
    "own_variable",
    "without_password",
]
