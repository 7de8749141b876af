"""`pointsman costs --breakeven`: from when on a machine of one's own is cheaper than tokens."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pointsman import (
    AttemptRecord,
    CallRecord,
    Decision,
    Exact,
    LedgerEntry,
    Target,
    Timings,
    Usage,
)
from pointsman.ledgers import open_ledger

Invoke = Callable[..., Result]

GPU = """
from contextlib import asynccontextmanager
from decimal import Decimal
from pydantic import BaseModel, ConfigDict
from pointsman import ProviderSpec, ScaleToZero, Strengths, Terminal, hookimpl

class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    base_url: str = "http://127.0.0.1"
    second: str = "0.001"
    goes: bool = True
    expected: bool = True

@asynccontextmanager
async def open_(config, context):
    yield None

def scaling(config, model):
    second = None if config.second == "unknown" else Decimal(config.second)
    return ScaleToZero(window=60, start=20, second=second, parallel=4) if config.goes else None

@hookimpl
def pointsman_providers():
    strengths = Strengths(first_token=(0.5, 1.5), tokens_per_second=(50, 50))
    return [ProviderSpec(name="gpu", config=Config, open=open_, terminal=Terminal.DONE_FIELD, scaling=scaling,
                         default_models=("m",), strengths=strengths)]
"""
"""A stranger's provider whose machines scale to zero: a request of 100 tokens is expected to take 1 + 100 / 50 s."""

PRICES = """
[prices."a/dear"]
input = 10
output = 10
[prices."a/cheap"]
input = 1
output = 1
[prices."a/free"]
input = 0
output = 0
[prices."a/huge"]
input = 1000
output = 1000
"""
LINE = ("costs", "--breakeven", "--requests-per-day", "1000", "--tokens", "900/100")


@pytest.fixture
def gpu(
    tmp_path: Path, stranger: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """The folder in which that provider is installed; sets it up otherwise."""
    env = stranger({"pointsman.providers": {"gpu": "gpu_plugin"}}, gpu_plugin=GPU)
    monkeypatch.delitem(sys.modules, "gpu_plugin", raising=False)
    monkeypatch.syspath_prepend(env["PYTHONPATH"])
    monkeypatch.setenv("PYTHONPATH", env["PYTHONPATH"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POINTSMAN_LEDGER_URL", f"sqlite:{tmp_path / 'ledger.db'}")

    def set_up(text: str = "") -> None:
        a = '[providers.a]\nplugin = "openai-compatible"\nbase_url = "http://127.0.0.1:1/v1"\n'
        (tmp_path / "pointsman.toml").write_text(f"{a}{PRICES}{text}")

    set_up()
    return set_up


def call(target: str, hours_ago: float, usage: Usage | None, first: float = 1.0, duration: float = 5.0) -> LedgerEntry:
    """An answer, whose reader held it up for a second."""
    began = (datetime.now(UTC) - timedelta(hours=hours_ago)).timestamp()
    record = AttemptRecord(
        call_id=f"{target}-{hours_ago}",
        attempt=1,
        target=Target.parse(target),
        outcome="finished",
        started=0.0,
        first_output=first,
        ended=duration,
        usage=usage,
        cost=Exact(0),
        held=1.0,
    )
    whole = CallRecord(
        call_id=record.call_id,
        decision=Decision(policy="in_order", order=(record.target,)),
        outcome="finished",
        attempts=(record,),
        timings=Timings(e2e=duration),
        cost=Exact(0),
        tags={},
        at=began,
        started=0.0,
    )
    return LedgerEntry(call=whole)


def write(entries: list[LedgerEntry]) -> None:
    with open_ledger(f"sqlite:{Path.cwd() / 'ledger.db'}") as ledger:
        ledger.write(entries)


def found(done: Result) -> dict[str, Any]:
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    return json.loads(done.stdout)


def against(*names: str) -> list[str]:
    return [part for name in names for part in ("--against", f"a/{name}")]


def test_figures(invoke: Invoke, gpu: Any, valid: Any) -> None:
    """A full machine of 4 places, 3 s a request, costs $0.00075 for each; one that is started for it, $0.083."""
    said = found(invoke(*LINE, *against("dear", "cheap", "free", "huge", "unheard"), "--json"))
    valid("breakeven.json", said)
    assert said["traffic"] == {
        "requests_per_day": 1000,
        "input_tokens": 900,
        "cached_input_tokens": 0,
        "output_tokens": 100,
        "answers": 0,
    }
    (machine,) = said["machines"]
    assert (machine["target"], machine["busy_seconds"], machine["busy_source"]) == ("gpu/m", 3, "expected")
    assert machine["second"] == {"usd": "0.001", "complete": False}
    assert machine["hour"] == {"usd": "3.6", "complete": False}
    assert machine["most_requests_per_hour"] == 4800
    assert machine["month_always_on"] == {"usd": "2592", "complete": False}
    # exp(1000 / 86400 * (60 + 3)) + 0.23 of starts: over half of the time.
    assert machine["machines"] == pytest.approx(1 - 1 / (2.0736 + 0.2335), rel=0.001)
    assert float(machine["month"]["usd"]) == pytest.approx(2592 * machine["machines"], rel=1e-9)
    dear, cheap, free, huge, unheard = machine["against"]
    assert (dear["request"]["usd"], dear["month"]["usd"]) == ("0.01", "300")
    assert dear["breakeven"]["is"] == dear["breakeven_always_on"]["is"] == "from"
    assert dear["breakeven_always_on"]["requests_per_hour"] == 360
    assert 300 < dear["breakeven"]["requests_per_hour"] < 360
    assert dear["breakeven_always_on"]["tokens_per_day"] == 360 * 24 * 1000
    assert cheap["breakeven"]["is"] == "from"  # $0.001 is above $0.00075, by little.
    assert free["request"] == {"usd": "0", "complete": True}
    never = {"is": "never", "requests_per_hour": None, "tokens_per_day": None}
    assert free["breakeven"] == free["breakeven_always_on"] == never
    assert huge["breakeven"] == {"is": "from", "requests_per_hour": 0, "tokens_per_day": 0}
    assert unheard["request"] == unheard["month"] == {"usd": None, "complete": False}
    assert unheard["breakeven"] == unheard["breakeven_always_on"] == never | {"is": "unknown"}


def test_in_words(invoke: Invoke, gpu: Any) -> None:
    done = invoke(*LINE, *against("dear", "free", "huge", "unheard"))
    assert (done.exit_code, done.stderr) == (0, "")
    assert (
        done.stdout
        == """\
Traffic: 1,000 requests a day of 900 tokens in and 100 out, as given. A month has 30 days.

gpu/m
  A request keeps one of 4 places of a machine busy for 3 s, as its package expects: not measured. One machine \
serves 4,800 requests an hour at most. A start takes 20 s, and the machine goes 60 s after its last answer.
  One that is there costs ≥ $0.001 a second, ≥ $3.60 an hour, ≥ $2,592.00 a month.
  This traffic costs ≥ $1,468.39 a month: a machine is there 56.7% of the time, and is started 433 times a day. \
Always on, it costs ≥ $2,592.00.
  a/dear: $0.01 a request, $300.00 a month. The machine is cheaper from about 359 requests an hour on (8.62M \
tokens a day; always on, from 360).
  a/free: $0 a request, $0 a month. The machine is never cheaper: even one that is always full costs ≥ $0.00075 \
a request.
  a/huge: $1.00 a request, $30,000.00 a month. The machine is cheaper from the first request on: one that is \
started for it alone costs ≥ $0.083.
  a/unheard: its cost is unknown, as nobody knows a price of it; so is from when on the machine is cheaper.
"""
    )


def test_no_traffic_costs_nothing_and_too_much_needs_more_machines(invoke: Invoke, gpu: Any) -> None:
    line = ["costs", "--breakeven", "--tokens", "900/100", *against("dear"), "--requests-per-day"]
    (idle,) = found(invoke(*line, "0", "--json"))["machines"]
    assert (idle["machines"], idle["starts_per_day"]) == (0, 0)
    assert idle["month"] == idle["against"][0]["month"] == {"usd": "0", "complete": True}
    assert idle["month_always_on"]["usd"] == "2592"
    assert "is there 0% of the time" in invoke(*line, "0").stdout
    (many,) = found(invoke(*line, str(2.5 * 4800 * 24), "--json"))["machines"]
    assert many["machines"] == pytest.approx(2.5)
    assert float(many["month"]["usd"]) == float(many["month_always_on"]["usd"]) == pytest.approx(6480)
    assert "This traffic needs 2.5 of them at least, if all are full" in invoke(*line, "288000").stdout


@pytest.mark.parametrize("often", ["1e-300", "1e9"])
def test_amounts_beyond_all_measure_are_told_all_the_same(invoke: Invoke, gpu: Any, valid: Any, often: str) -> None:
    """What is next to nothing is not nothing, and not unknown."""
    line = ["costs", "--breakeven", "--tokens", "999999999/1", "--requests-per-day", often, *against("dear")]
    said = found(invoke(*line, "--json"))
    valid("breakeven.json", said)
    (machine,) = said["machines"]
    assert float(machine["month"]["usd"]) > 0 < float(machine["against"][0]["month"]["usd"])
    assert "unknown" not in invoke(*line).stdout


def test_a_second_whose_price_nobody_knows_is_not_0(invoke: Invoke, gpu: Any, valid: Any) -> None:
    gpu('[providers.gpu]\nsecond = "unknown"\n')
    said = found(invoke(*LINE, *against("dear"), "--json"))
    valid("breakeven.json", said)
    (machine,) = said["machines"]
    for name in ("second", "hour", "month", "month_always_on"):
        assert machine[name] == {"usd": None, "complete": False}
    assert machine["against"][0]["breakeven"]["is"] == "unknown"
    assert machine["against"][0]["month"]["usd"] == "300"
    text = invoke(*LINE, *against("dear")).stdout
    assert "What a second of it costs is unknown" in text
    assert "From when on the machine is cheaper is unknown." in text
    assert "$0 " not in text


def test_what_nobody_is_billed_for_is_compared_with_nobody(invoke: Invoke, gpu: Any) -> None:
    """Such as a model on one's own computer, which is unloaded now and then."""
    gpu('[prices."gpu/m"]\ninput = 0\noutput = 0\n')
    done = invoke(*LINE, *against("dear"))
    assert done.exit_code == 2
    assert "no target here is known to scale to zero" in done.stderr
    assert invoke(*LINE, *against("dear"), "--target", "gpu/m").exit_code == 0


def test_a_second_that_is_known_to_cost_nothing_is_0(invoke: Invoke, gpu: Any) -> None:
    gpu('[providers.gpu]\nsecond = "0"\n')
    assert found(invoke(*LINE, "--json"))["machines"][0]["month"] == {"usd": "0", "complete": True}
    text = invoke(*LINE, *against("dear", "free")).stdout
    assert "a/dear: $0.01 a request, $300.00 a month. The machine is cheaper from the first request on" in text
    assert "a/free: $0 a request, $0 a month. The machine is never cheaper" in text


def test_the_ledger_says_what_is_asked(invoke: Invoke, gpu: Any, valid: Any) -> None:
    """Four answers of two days, three of them with tokens; those that began before do not count."""
    now = datetime.now(UTC)
    yesterday = now.hour + 1
    write(
        [
            call("a/dear", yesterday, Usage(input_tokens=1000, cached_input_tokens=300, output_tokens=100)),
            call("a/cheap", 0.001, Usage(input_tokens=800, output_tokens=200)),
            call("gpu/m", yesterday + 0.5, Usage(input_tokens=600, output_tokens=300)),
            call("a/free", 0.002, None),
            call("a/free", 24 * 40, Usage(input_tokens=10**6, output_tokens=1)),
        ]
    )
    line = ["costs", "--breakeven", "--since", "2d", *against("dear"), "--json"]
    said = found(invoke(*line))
    valid("breakeven.json", said)
    assert said["traffic"] == {
        "requests_per_day": 2,
        "input_tokens": 800,
        "cached_input_tokens": 100,
        "output_tokens": 200,
        "answers": 4,
    }
    (machine,) = said["machines"]
    # Its own answer: 1 s to the first token, then 3 s of writing for 300 tokens. The reader's second is not its own.
    assert (machine["busy_source"], machine["busy_answers"], machine["busy_seconds"]) == ("measured", 1, 3)
    assert machine["against"][0]["request"] == {"usd": "0.01", "complete": True}
    (given,) = found(invoke(*line, "--seconds", "7"))["machines"]
    assert (given["busy_source"], given["busy_seconds"]) == ("given", 7)
    both = found(invoke(*line, "--tokens", "10/20"))
    assert (both["traffic"]["requests_per_day"], both["traffic"]["output_tokens"]) == (2, 20)
    assert both["machines"][0]["busy_seconds"] == pytest.approx(1.2)
    text = invoke(*line[:-1], "--tokens", "10/20").stdout
    assert "by 4 answers of 2 days in the ledger and as given" in text
    assert "by 1 answer in the ledger" in text


def test_an_answer_that_waited_for_a_start_measures_nothing(invoke: Invoke, gpu: Any) -> None:
    write([call("gpu/m", 0.01, Usage(input_tokens=9, output_tokens=9), first=20.0, duration=30.0)])
    (machine,) = found(invoke(*LINE, *against("dear"), "--json"))["machines"]
    assert machine["busy_source"] == "expected"


def test_prices_are_those_of_each_answer(invoke: Invoke, gpu: Any) -> None:
    """A mean of tokens would be in a cheaper tier."""
    gpu(
        '[prices."a/tiers"]\ninput = 10\noutput = 10\n[[prices."a/tiers".tiers]]\n'
        "tokens = 1000\ninput = 20\noutput = 20\n"
    )
    write([call("a/dear", 0.001 * n, Usage(input_tokens=size, output_tokens=0)) for n, size in enumerate((100, 1500))])
    (machine,) = found(invoke("costs", "--breakeven", *against("tiers"), "--seconds", "1", "--json"))["machines"]
    assert machine["against"][0]["request"]["usd"] == "0.0155"  # Half of 100 x 10 + 1500 x 20.


def test_by_itself_it_compares_all_that_may_be(invoke: Invoke, gpu: Any) -> None:
    (machine,) = found(invoke(*LINE, "--json"))["machines"]
    names = [one["target"] for one in machine["against"]]
    assert "sambanova/gpt-oss-120b" in names
    assert all(one["price"] for one in machine["against"])


def test_with_nobody_to_compare_with_it_tells_what_the_machine_costs(invoke: Invoke, gpu: Any, valid: Any) -> None:
    gpu('[plugins]\ndisable = ["sambanova", "hf", "blaxel", "ollama"]\n')
    done = invoke(*LINE)
    assert done.exit_code == 0, done.output
    assert "One that is there costs ≥ $0.001 a second" in done.stdout
    assert (
        "pip install pointsman-sambanova, which needs no key for that; or name a target with --against" in done.stdout
    )
    told = found(invoke(*LINE, "--json"))
    valid("breakeven.json", told)
    assert told["machines"][0]["against"] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "no answer is in the ledger from"),
        (["--tokens", "1/2"], "say it with --requests-per-day and --tokens"),
        (["--tokens", "12"], "'12' is no IN/OUT: write the tokens of one request, such as 1500/400"),
        (["--tokens", "-1/3"], "is no IN/OUT"),
        (["--tokens", "0/0"], "a request without a token costs nothing anywhere"),
        (["--requests-per-day", "-1"], "'-1' is no number from 0 to 1,000,000,000, such as 250 or 2.5"),
        (["--requests-per-day", "nan"], "'nan' is no number from"),
        (["--seconds", "inf"], "'inf' is no number from 0.001 to 86,400, such as 4 or 2.5"),
        (["--seconds", "0"], "'0' is no number from 0.001"),
        (["--requests-per-day", "1e308"], "'1e308' is no number from"),
        (["--target", "gpu"], "--target gpu"),
        (["--target", "a/dear"], "--target a/dear: its machines never go"),
        (["--target", "nobody/x"], "no provider is called 'nobody'"),
        (["--against", "a/second"], "--against a/second: it is not billed by the token"),
        (["--against", "nobody/x"], "no provider is called 'nobody'"),
        (["--by", "day"], "--by says nothing beside --breakeven"),
        (["--if", "a/dear"], "--if says nothing beside --breakeven"),
        (["export"], "--breakeven stands after export"),
    ],
)
def test_wrong_usage_is_explained(invoke: Invoke, gpu: Any, options: list[str], words: str) -> None:
    gpu('[prices."a/second"]\nsecond = 1\n')
    done = invoke("costs", "--breakeven", *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr


@pytest.mark.parametrize("option", ["--target", "--against", "--requests-per-day", "--tokens", "--seconds"])
def test_its_options_say_nothing_without_it(invoke: Invoke, gpu: Any, option: str) -> None:
    done = invoke("costs", option, {"--tokens": "1/2", "--target": "a/b", "--against": "a/b"}.get(option, "1"))
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{option} says something only beside --breakeven" in done.stderr


def test_without_a_machine_it_says_how_one_gets_there(invoke: Invoke, gpu: Any) -> None:
    gpu("[providers.gpu]\ngoes = false\n")
    done = invoke(*LINE)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "no target here is known to scale to zero" in done.stderr
    assert "gpu/m: its machines never go" in done.stderr
    assert "the same with that at 0 compares both" in done.stderr


@pytest.mark.parametrize("columns", [40, 80])
def test_it_fits_a_terminal(terminal: Any, gpu: Any, columns: int) -> None:
    screen = terminal(*LINE, *against("dear", "unheard"), columns=columns, env={"NO_COLOR": "1"})
    assert screen.code == 0
    assert [line for line in screen.text.splitlines() if len(line) > columns] == []
    assert " ".join(screen.text.split()).count("The machine is cheaper from about 359 requests an hour on") == 1
