"""What is slow happens when a policy is made, which is not timed, and not in the first decision, which is."""

from __future__ import annotations

import subprocess
import sys

FIRST = """
import sys
from pointsman import Candidate, ChatRequest, Target, user
from pointsman.plugins import Plugins

policy = Plugins.installed().policy("scored")
happened = []
sys.addaudithook(lambda event, args: happened.append((event, args[0])) if event in ("open", "import") else None)
request = ChatRequest(messages=(user("Why does this raise a KeyError?"),))
decision = policy.rank(request, [Candidate(target=Target("a", "m"), capabilities=frozenset())], 0.0, 1)
print(decision.order[0], happened)
"""


def test_the_first_decision_reads_and_imports_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FIRST], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "a/m []\n"
