"""The proxy token, whole and in halves, wherever an address may say it back."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from pointsman import AsyncClient, PointsmanError, Settings
from pointsman_testing import Fault, Lab, ModalEndpoint, Raw

ID, SECRET = "wk-Ab12Cd34Ef56", "ws-Gh78Ij90Kl12"
WHOLE = f"{ID}.{SECRET}"
FORMS: dict[str, dict[str, str]] = {
    "in halves": {"token_id": ID, "token_secret": SECRET},
    "whole": {"api_key": WHOLE},
    "in halves, and a key behind": {"token_id": ID, "token_secret": SECRET, "api_key": "sk-behind-0123456789"},
}
SAYS = f"no: {WHOLE} and {ID} and {SECRET} and Bearer {WHOLE} and sk-behind-0123456789"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "fault",
    [
        Fault(401, f"modal-http: {SAYS}"),
        Fault(404, f"modal-http: invalid function call {SAYS}"),
        Fault(500, f"modal-http: internal error: {SAYS}"),
        Fault(429, SAYS),
        Fault(400, message=SAYS),
        Fault(503, message=SAYS),
        Raw(b"", status=303, headers={"location": f"https://elsewhere.example/?{WHOLE}"}),
        Raw(f"data: {{broken {SAYS}\n\n".encode()),
        Raw(SAYS.encode(), content_type="text/plain"),
    ],
    ids=lambda fault: f"{type(fault).__name__} {fault.status}",
)
async def test_no_error_record_or_log_shows_any_of_it(
    lab: Lab, caplog: pytest.LogCaptureFixture, form: str, fault: Any
) -> None:
    vendor = lab.vendor("modal", dialect=ModalEndpoint(), default=fault)
    settings = {"base_url": vendor.base_url, **FORMS[form]}
    caplog.set_level(logging.DEBUG)
    async with AsyncClient(settings=Settings.of({"providers": {"modal": settings}}, environ={})) as client:
        with pytest.raises(PointsmanError) as raised:
            await client.chat("hi", model="modal/m", deadline=2)
        health = await (await client.connect("modal")).health()
        config = client.roster.configured("modal")
    shown = [repr(raised.value), str(raised.value), str(raised.value.attempts), str(health), repr(config)]
    shown += [one.getMessage() for one in caplog.records if one.name.startswith("pointsman")]
    shown += [repr(raised.value.__cause__), str(vars(raised.value))]
    for secret in (ID, SECRET, "sk-behind" if form.endswith("behind") else ID):
        assert not [text for text in shown if secret in text]
