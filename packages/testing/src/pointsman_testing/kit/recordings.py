"""Recordings of a real vendor are read as they were read when they were made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from pointsman import Target

from ..lab import Answer, Chunk, Fault, HttpResponse, Pace, RecordedRequest, Script, Site, Usual
from ..lab.dialect import json_response
from .base import ProviderSetting
from .recording import Recording, ask
from .speech import expect
from .stage import Stage


@dataclass(frozen=True, slots=True)
class Replay:
    """A dialect that says again what was recorded, a line at a time. Its routes are the numbers of the exchanges."""

    recording: Recording

    @property
    def prefix(self) -> str:
        return self.recording.prefix

    @property
    def routes(self) -> Sequence[str]:
        return [str(number) for number in range(len(self.recording.exchanges))]

    def route(self, request: RecordedRequest, site: Site) -> str | Fault:
        fitting = [
            number
            for number, one in enumerate(self.recording.exchanges)
            if (one.method, one.path) == (request.method, request.path)
        ]
        if not fitting:
            return Fault(404, message=f"{request.method} {request.path} was not recorded")
        seen: list[str] = site.memory.setdefault("seen", [])
        number = fitting[sum(int(one) in fitting for one in seen) % len(fitting)]
        seen.append(str(number))
        return str(number)

    def reply(self, route: str, request: RecordedRequest, site: Site) -> HttpResponse:
        one = self.recording.exchanges[int(route)]
        body = b"".join(data for _, data in one.body)
        return HttpResponse(
            status=one.status,
            headers=tuple(one.headers.items()),
            body=tuple(Chunk(line) for line in body.splitlines(keepends=True)),
            chunked=one.chunked,
        )

    def chat(self, answer: Answer, request: Mapping[str, Any], pace: Pace, site: Site) -> HttpResponse:
        raise AssertionError("nothing is answered but what was recorded")

    def error(self, fault: Fault) -> Mapping[str, Any]:
        return {"error": fault.message}

    def json(self, body: Mapping[str, Any]) -> HttpResponse:
        return json_response(body)


class RecordingCases(ProviderSetting):
    """Each recording in the folder is played back; ``python -m pointsman_testing.kit.record`` makes them."""

    recordings: ClassVar[Path | None] = None
    """The folder with this provider's recordings, such as ``Path(__file__).parent / "recordings"``."""

    def recorded(self, provider: str) -> Iterator[tuple[Path, Recording]]:
        """Every recording, with its file. It skips the test if there is no folder."""
        if self.recordings is None:
            pytest.skip("it has no recordings")
        files = sorted(self.recordings.glob("*.json"))
        expect(files, f"there is no recording in {self.recordings}: make one, or do not set `recordings`")
        for path in files:
            recording = Recording.read(path)
            expect(
                recording.provider == provider,
                f"{path} is a recording of {recording.provider}, so that nobody plays it: one folder for each",
            )
            yield path, recording

    @pytest.mark.parametrize("pieces", [None, 5], ids=["by the line", "by 5 bytes"])
    async def test_a_recording_is_read_as_it_was(self, stage: Stage, pieces: int | None) -> None:
        for path, recording in self.recorded(stage.spec.name):
            replay = self._playing(stage, path, recording)
            for route in self._routes(recording):
                replay.vendor.script(Usual().drip(pieces) if pieces else Usual(), on=route)
            async with replay.client() as client:
                outcome = json.loads(json.dumps(await ask(client, replay.target, recording.prompt, recording.options)))
            for what, came in recording.outcome.items():
                expect(
                    _is_still(outcome.get(what), came),
                    f"{path.name}: {what} is {outcome.get(what)!r}, and was {came!r} on {recording.made}, of the same "
                    "bytes: either the plugin reads them wrong now, or it did then",
                )
            asked = {request.route: request for request in replay.vendor.requests}
            for number, exchange in enumerate(recording.exchanges):
                request = asked.get(str(number))
                expect(
                    request is not None and (not exchange.asked or request.json == exchange.asked),
                    f"{path.name}: {exchange.method} {exchange.path} is not asked as it was on {recording.made}, so "
                    f"that its answer proves nothing any more: make it anew with `{recording.command}`",
                )

    async def test_a_recording_cut_off_is_never_whole(self, stage: Stage) -> None:
        for path, recording in self.recorded(stage.spec.name):
            if "error" in recording.outcome:
                continue
            replay = self._playing(stage, path, recording)
            route = self._routes(recording)[-1]
            lines = b"".join(data for _, data in recording.exchanges[-1].body).splitlines()
            for line in (number for number, text in enumerate(lines) if text):
                cut: Script = Usual().cut(after=line)
                replay.vendor.script(cut, on=route)
                async with replay.client() as client:
                    outcome = await ask(client, replay.target, recording.prompt, recording.options)
                expect(
                    "error" in outcome or outcome["text"] == recording.outcome["text"],
                    f"{path.name}: cut off after line {line} it was given out as a whole answer: yield Finished for "
                    "the vendor's own proof of the end, and for nothing else",
                )

    def _playing(self, stage: Stage, path: Path, recording: Recording) -> Stage:
        """The provider before a vendor that plays this recording."""
        vendor = stage.lab.vendor(f"recording {path.stem}", dialect=Replay(recording))
        target = Target(stage.spec.name, recording.model)
        return replace(stage, vendor=vendor, target=target, config=self.config(vendor))

    def _routes(self, recording: Recording) -> Sequence[str]:
        return Replay(recording).routes


def _is_still(found: Any, came: Any) -> bool:
    """A value may have got new fields since: what the recording does not know of it was not different then."""
    if not (isinstance(found, dict) and isinstance(came, dict)):
        return bool(found == came)
    now, then = cast("dict[str, Any]", found), cast("dict[str, Any]", came)
    return now == {**now, **then}
