"""Acme keeps what every provider has to keep."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pointsman_testing import Answer, SimpleApi, split_words
from pointsman_testing.kit import ProviderConformance


class AcmeApi(SimpleApi):
    """What Acme answers: a JSON object a line."""

    prefix = "/v1"

    def events(self, answer: Answer, request: Mapping[str, Any]) -> Iterator[str]:
        lines: list[dict[str, Any]] = [{"text": word} for word in split_words(answer.text)]
        if answer.done and answer.finish_reason and answer.error is None:
            counts = self.counted(answer, request)
            usage = {"in": counts.input_tokens, "out": counts.output_tokens} if answer.usage != "none" else {}
            lines.append({"done": answer.finish_reason, **usage})
        yield from (f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines)


class TestAcme(ProviderConformance):
    provider = "acme"
    model = "acme-1"
    key = "acme-0123456789"
    dialect = AcmeApi()
    # Acme has no words for any of these: nothing marks its requests, and where it fails, it just ends.
    too_long = None
    request_ids = False
    errors_in_streams = False
