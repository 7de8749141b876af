"""`pointsman costs`: what the ledger has, added up; shown, exported and forgotten."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pointsman import (
    AtLeast,
    AttemptRecord,
    CallRecord,
    Cost,
    Decision,
    Exact,
    LedgerEntry,
    Target,
    Timings,
    Unknown,
    Usage,
)
from pointsman.ledger import DIMENSIONS
from pointsman.ledgers import open_ledger
from pointsman_cli.costs.exporting import cell
from pointsman_cli.costs.when import WAYS
from pointsman_cli.costs.words import count as shortened
from pointsman_testing import Answer, Fault, Vendor

Invoke = Callable[..., Result]
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
_numbers = count()


def call(
    *attempts: tuple[str, str, Cost, Usage | None],
    days_ago: int = 0,
    tags: Mapping[str, str] | None = None,
    answer: str | None = None,
    **facts: Any,
) -> LedgerEntry:
    """A call of so many days ago; each attempt is its target, its outcome, its cost and its tokens."""
    name, began = f"call-{next(_numbers)}", (TODAY - timedelta(days=days_ago)).timestamp()
    records = tuple(
        AttemptRecord(
            call_id=name,
            attempt=place,
            target=Target.parse(target),
            outcome=outcome,  # type: ignore[arg-type]
            started=0.0,
            first_output=None,
            ended=1.0,
            usage=usage,
            cost=cost,
        )
        for place, (target, outcome, cost, usage) in enumerate(attempts, 1)
    )
    whole = CallRecord(
        call_id=name,
        decision=Decision(policy="in_order", order=tuple(one.target for one in records)),
        outcome=records[-1].outcome,
        attempts=records,
        timings=Timings(e2e=1.0),
        cost=Cost.total(one.cost for one in records),
        tags=tags or {},
        at=began,
        started=0.0,
        **facts,
    )
    return LedgerEntry(call=whole, prompt=answer and "Say it", answer=answer)


def tokens(asked: int, answered: int, cached: int = 0, *, estimated: bool = False) -> Usage:
    return Usage(input_tokens=asked, cached_input_tokens=cached, output_tokens=answered, estimated=estimated)


A, B = "a/m1", "b/m1"
ENTRIES = [
    call((A, "finished", Exact("0.10"), tokens(1000, 100, 400)), days_ago=3, tags={"team": "search"}, task="code"),
    call(
        (A, "failed", Exact("0.02"), tokens(500, 0)),
        (B, "finished", Exact("0.30"), tokens(1000, 200)),
        days_ago=2,
        tags={"team": "ads"},
    ),
    call((B, "cancelled", AtLeast("0.05"), tokens(100, 20, estimated=True)), days_ago=2, tags={"team": "search"}),
    call(("free/x", "finished", Unknown, None), days_ago=1),
    call(("local/y", "finished", Exact(0), tokens(10, 10)), days_ago=0),
]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts calls into the ledger that clients keep here."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "ledger.db"
    monkeypatch.setenv("POINTSMAN_LEDGER_URL", f"sqlite:{path}")

    def keep(entries: Sequence[LedgerEntry] = ENTRIES) -> Path:
        with open_ledger(f"sqlite:{path}") as ledger:
            ledger.write(entries)
        return path

    return keep


def found(done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def spent(done: Result) -> dict[str, str | None]:
    """Of each group, by the values of its key."""
    return {"/".join(str(part) for part in one["key"].values()): one["cost"]["usd"] for one in found(done)["groups"]}


def test_the_total_has_all_and_says_what_is_not_in_it(invoke: Invoke, kept: Any, valid: Any) -> None:
    kept()
    done = invoke("costs", "--json")
    assert done.stderr == ""
    valid("costs.json", found(done))
    total = found(done)["total"]
    assert total["cost"] == {"usd": "0.47", "complete": False}  # 0.10 + 0.02 + 0.30 + 0.05 + 0
    assert (total["calls"], total["attempts"], total["failed"]) == (5, 6, 2)
    assert (total["unpriced"], total["bounded"], total["uncounted"]) == (1, 1, 1)
    assert total["usage"]["cache_write_tokens"] == 0
    assert spent(done) == {"b/m1": "0.35", "a/m1": "0.12", "free/x": None, "local/y": "0"}
    assert list(spent(done))[:2] == ["b/m1", "a/m1"]  # The dearest first.
    outcomes = {one["key"]["outcome"]: one["cost"] for one in found(done)["outcomes"]}
    assert outcomes["failed"] == {"usd": "0.02", "complete": True}
    assert outcomes["cancelled"] == {"usd": "0.05", "complete": False}


def test_in_words(invoke: Invoke, kept: Any) -> None:
    kept()
    done = invoke("costs")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].split("  ")[0] == "model"
    assert " ".join(lines[0].split()[1:]) == "calls failed tokens in cached tokens out cost not priced lower bound"
    assert lines[1].split() == ["b/m1", "2", "1", "≥", "1,100", "≥", "220", "≥", "$0.35", "0", "1"]
    assert lines[2].split() == ["a/m1", "2", "1", "1,500", "27%", "100", "$0.12", "0", "0"]
    assert lines[3].split() == ["free/x", "1", "0", "unknown", "unknown", "unknown", "1", "0"]
    assert lines[4].split() == ["local/y", "1", "0", "10", "10", "$0", "0", "0"]
    assert lines[5] == "≥ $0.47 for 5 calls, 6 attempts; 1 call not priced; 1 call known to a lower bound only"
    assert lines[6] == "tokens: ≥ 2,610 in (15% of it cached), ≥ 330 out; 1 attempt not counted"
    assert lines[7] == "without an answer: 1 attempt cancelled: ≥ $0.05, 1 attempt failed: $0.02"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--by", "provider"], {"b": "0.35", "a": "0.12", "free": None, "local": "0"}),
        (["--by", "tag:team"], {"ads": "0.32", "search": "0.15", "None": None}),
        (["--by", "outcome,provider", "--where", "provider=a"], {"finished/a": "0.1", "failed/a": "0.02"}),
        (["--by", "task"], {"None": "0.37", "code": "0.1"}),
        (["--tag", "team=search"], {"a/m1": "0.1", "b/m1": "0.05"}),
        (["--where", "tag:team=search", "--where", "provider=a"], {"a/m1": "0.1"}),
        (["--since", "2d", "--by", "operation"], {"chat": None}),
        (["--since", "3d", "--by", "operation"], {"chat": "0.37"}),
        (["--until", "yesterday", "--by", "operation"], {"chat": "0.47"}),
    ],
)
def test_calls_are_chosen_and_divided(
    invoke: Invoke, kept: Any, options: list[str], expected: dict[str, str | None]
) -> None:
    kept()
    assert spent(invoke("costs", "--json", *options)) == expected


def test_days_stand_in_their_order(invoke: Invoke, kept: Any) -> None:
    kept()
    done = invoke("costs", "--by", "day", "--json")
    assert list(spent(done)) == [f"{TODAY - timedelta(days=back):%Y-%m-%d}" for back in (3, 2, 1, 0)]
    assert list(spent(done).values()) == ["0.1", "0.37", None, "0"]


def test_what_was_asked_is_in_the_total(
    invoke: Invoke, place: Path, a: Vendor, b: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its price, its tag, and a target that failed before another answered."""
    with (place / "pointsman.toml").open("a") as file:
        file.write('[prices."b/m1"]\ninput = 2\noutput = 5\n')
    monkeypatch.setenv("POINTSMAN_LEDGER_URL", f"sqlite:{place / 'mine.db'}")
    a.script(Fault(500))
    b.script(Answer("Here.", counts=Usage(input_tokens=1000, output_tokens=100)))
    done = invoke("chat", "--tag", "team=search", "-m", "a/m1", "-m", "b/m1", "Where?")
    assert (done.exit_code, done.stdout) == (0, "Here.\n")
    assert spent(invoke("costs", "--by", "tag:team", "--by", "model", "--json")) == {
        "search/a/m1": "0",
        "search/b/m1": "0.0025",
    }


# Nothing, and what is wrong -------------------------------------------------------------------------------------------


def test_without_a_ledger_it_says_what_to_do(invoke: Invoke, kept: Any, tmp_path: Path, valid: Any) -> None:
    done = invoke("costs")
    assert (done.exit_code, done.stdout) == (0, "")
    assert f"No call is recorded yet in {tmp_path / 'ledger.db'}" in done.stderr
    assert "pointsman chat" in done.stderr
    assert not (tmp_path / "ledger.db").exists()  # Looking makes no file.
    done = invoke("costs", "--json")
    valid("costs.json", found(done))
    assert found(done)["total"]["cost"] == {"usd": "0", "complete": True}
    done = invoke("costs", "export")
    assert (done.exit_code, done.stdout.count("\n")) == (0, 1)  # The names of the columns.
    assert found(invoke("costs", "purge", "--before", "1d", "--yes", "--json"))["purged"] == 0


def test_an_empty_ledger_says_so(invoke: Invoke, kept: Any) -> None:
    kept([])
    done = invoke("costs")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "No call is recorded yet" in done.stderr


def test_where_none_is_kept_it_says_who_says_so(invoke: Invoke, kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_LEDGER_URL", "none")
    done = invoke("costs")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "[ledger] url is none, from environment POINTSMAN_LEDGER_URL" in done.stderr


def test_what_fits_nothing_says_what_there_is(invoke: Invoke, kept: Any) -> None:
    kept()
    done = invoke("costs", "--where", "model=a/m2", "--tag", "team=serch")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "None of 5 calls in the ledger fits" in done.stderr
    assert "model: there are a/m1, b/m1, free/x, local/y; did you mean 'a/m1'?" in done.stderr
    assert "tag:team: there are ads, search; did you mean 'search'?" in done.stderr
    assert "--since all" in invoke("costs", "--until", "2020").stderr + invoke("costs", "--until", "2020-01").stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--by", "modle"], "'modle' divides nothing: there are day, provider, model"),
        (["--by", "tag:"], "tag:NAME"),
        (["--where", "model"], "write NAME=VALUE"),
        (["--where", "provider=a", "--where", "provider=b"], "provider cannot be both 'a' and 'b'"),
        (["--where", "day=soon"], "write day=2026-11-05"),
        (["--ledger", ""], "--ledger names nothing"),
        (["--ledger", "nosql:x"], "no store is called 'nosql'"),
        (["--since", "soon"], "--since: 'soon' is no time: write today"),
        (["--since", "today", "--until", "yesterday"], "nothing lies between them"),
        (["--since", "today", "export"], "--since stands after export"),
        (["--json", "export"], "--json stands after export"),
        (["--if", "a"], "--if a"),
        (["--if", "nobody/x"], "nobody"),
        (["--if", "sambanova/no-such-model"], "nobody knows a price of it"),
        (["purge", "--before", "soon"], "--before: 'soon' is no time"),
        (["purge", "--before", "today"], "add --yes"),
        (["purge"], "--before"),
    ],
)
def test_wrong_usage_is_explained(invoke: Invoke, kept: Any, options: list[str], words: str) -> None:
    path = kept()
    before = path.read_bytes()
    done = invoke("costs", *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr
    assert path.read_bytes() == before


def test_a_ledger_that_is_none_is_named_with_what_to_do(invoke: Invoke, kept: Any, tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("This is a letter, and no ledger. " * 100)
    for verb in (["costs"], ["costs", "export"], ["costs", "purge", "--before", "1d", "--yes"]):
        done = invoke(*verb)
        assert (done.exit_code, done.stdout) == (1, "")
        assert str(tmp_path / "ledger.db") in done.stderr
        assert "a bug" not in done.stderr


def test_another_ledger_is_named_by_its_path_or_url(invoke: Invoke, kept: Any, tmp_path: Path) -> None:
    path = kept().rename(tmp_path / "of last year.db")
    assert found(invoke("costs", "--json", "--ledger", path.name))["total"]["calls"] == 5
    assert found(invoke("costs", "--json", "--ledger", f"sqlite:{path}".replace(" ", "%20")))["total"]["calls"] == 5
    done = invoke("costs", "--ledger", "of.db")
    assert done.exit_code == 1
    assert "there is no ledger in" in done.stderr
    assert "gone with each process" in invoke("costs", "--ledger", "memory:").stderr


# Elsewhere ------------------------------------------------------------------------------------------------------------


def test_what_it_would_have_cost_elsewhere(invoke: Invoke, kept: Any, valid: Any) -> None:
    """Of answers alone: what failed or was cancelled would have gone otherwise."""
    kept()
    done = invoke("costs", "--json", "--if", "sambanova/gpt-oss-120b")
    valid("costs.json", found(done))
    (one,) = found(done)["elsewhere"]
    # 1000 + 1000 + 10 in at $0.22, and 100 + 200 + 10 out at $0.59 a million; its cached input costs as any other.
    assert (one["price"]["input"], one["price"]["output"]) == ("0.22", "0.59")
    assert one["cost"] == {"usd": "0.0006251", "complete": True}
    assert one["paid"] == {"usd": "0.4", "complete": True}
    assert (one["compared"], one["left_out"]) == (3, 1)
    text = invoke("costs", "--if", "sambanova/gpt-oss-120b").stdout
    assert "elsewhere: $0.000625 at sambanova/gpt-oss-120b for what cost $0.40: 3 answers compared; 1 left out" in text
    assert "of the models that answered" in text


def test_a_floor_is_no_count_to_compare_by(invoke: Invoke, kept: Any) -> None:
    kept([call((A, "finished", AtLeast("0.05"), tokens(100, 20, estimated=True)))])
    (one,) = found(invoke("costs", "--json", "--if", "sambanova/gpt-oss-120b"))["elsewhere"]
    assert (one["compared"], one["left_out"]) == (0, 1)


def test_a_price_of_ones_own_needs_no_date_to_compare_by(invoke: Invoke, kept: Any, tmp_path: Path) -> None:
    kept()
    (tmp_path / "pointsman.toml").write_text('[prices."sambanova/mine"]\ninput = 1\noutput = 2\n')
    text = invoke("costs", "--if", "sambanova/mine").stdout
    assert "at its price without a date, project file" in text


def test_a_price_by_the_second_says_nothing_of_tokens(invoke: Invoke, kept: Any, tmp_path: Path) -> None:
    kept()
    (tmp_path / "pointsman.toml").write_text('[prices."sambanova/mine"]\nsecond = 0.001\n')
    done = invoke("costs", "--if", "sambanova/mine")
    assert done.exit_code == 2
    assert "it is billed by the second" in done.stderr


def test_a_price_of_ones_own_is_compared_tier_by_tier(invoke: Invoke, kept: Any, tmp_path: Path, valid: Any) -> None:
    """Each answer in the tier of its own prompt."""
    kept()
    (tmp_path / "pointsman.toml").write_text(
        '[prices."sambanova/mine"]\ninput = 1\noutput = 2\n'
        '[[prices."sambanova/mine".tiers]]\ntokens = 1000\ninput = 3\noutput = 4\n'
    )
    done = invoke("costs", "--json", "--if", "sambanova/mine")
    valid("costs.json", found(done))
    # Two prompts of 1000 tokens are in the second tier: 2000 x 3 + 300 x 4. The third is not: 10 x 1 + 10 x 2.
    assert found(done)["elsewhere"][0]["cost"] == {"usd": "0.00723", "complete": True}
    assert "at its price" in invoke("costs", "--if", "sambanova/mine").stdout


def test_nothing_to_compare_is_said(invoke: Invoke, kept: Any) -> None:
    kept()
    done = invoke("costs", "--where", "provider=free", "--if", "sambanova/gpt-oss-120b")
    assert "nothing to compare" in done.stdout


# Export and purge -----------------------------------------------------------------------------------------------------


def test_rows_are_exported_whole(invoke: Invoke, kept: Any, tmp_path: Path) -> None:
    kept()
    done = invoke("costs", "export")
    assert (done.exit_code, done.stderr) == (0, "")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == 6
    assert sum(Decimal(row["cost"] or 0) for row in rows) == Decimal("0.47")
    assert [row["cost"] for row in rows if row["provider"] == "free"] == [""]
    calls = [
        json.loads(line)
        for line in invoke("costs", "export", "--table", "calls", "--format", "jsonl").stdout.splitlines()
    ]
    assert len(calls) == 5
    assert calls[0]["tags"] == {"team": "search"}
    done = invoke("costs", "export", "--tag", "team=ads", "-o", "ads.csv")
    assert (done.stdout, "2 rows in ads.csv" in done.stderr) == ("", True)
    assert len((tmp_path / "ads.csv").read_text().splitlines()) == 3
    assert [*tmp_path.glob(".*")] == []


def test_texts_leave_only_if_asked_for(invoke: Invoke, kept: Any) -> None:
    kept([call((A, "finished", Exact(1), None), answer="The secret.")])
    line = ["costs", "export", "--table", "calls", "--format", "jsonl"]
    assert "secret" not in invoke(*line).stdout
    assert json.loads(invoke(*line, "--texts").stdout)["answer"] == "The secret."
    kept([])
    assert invoke(*line, "--texts", "--since", "2020-01", "--until", "2020-01").stdout == ""


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"])
def test_a_cell_is_no_formula(invoke: Invoke, kept: Any, text: str) -> None:
    assert cell(text) == f"'{text}"
    kept([call((A, "finished", Exact(1), None), task=text)])
    (row,) = csv.DictReader(io.StringIO(invoke("costs", "export", "--table", "calls").stdout, newline=""))
    assert row["task"] == f"'{text}"


def test_other_cells_are_as_they_are() -> None:
    values = [None, "", "a=b", "0.000000000001", 7, 0.5, True, {"a": "=1"}]
    assert [cell(one) for one in values] == ["", "", "a=b", "0.000000000001", "7", "0.5", "true", '{"a":"=1"}']


def test_what_a_killed_export_left_is_in_nobodys_way(invoke: Invoke, kept: Any, tmp_path: Path) -> None:
    """In a container every process may have the same number."""
    kept()
    (tmp_path / f".out.csv.{os.getpid()}.part").touch()
    assert invoke("costs", "export", "-o", "out.csv").exit_code == 0


def test_a_file_that_is_there_is_replaced_whole_or_not_at_all(invoke: Invoke, kept: Any, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("of last month")
    (tmp_path / "ledger.db").write_text("no ledger" * 1000)
    assert invoke("costs", "export", "-o", "out.csv").exit_code == 1
    assert (tmp_path / "out.csv").read_text() == "of last month"
    (tmp_path / "ledger.db").unlink()
    kept()
    assert invoke("costs", "export", "-o", "out.csv").exit_code == 0
    assert "of last month" not in (tmp_path / "out.csv").read_text()
    for place in ("no/such/folder.csv", str(tmp_path)):
        done = invoke("costs", "export", "-o", place)
        assert done.exit_code == 1
        assert f"'{place}'" in done.stderr
        assert ".part" not in done.stderr


def test_calls_are_forgotten(invoke: Invoke, kept: Any, valid: Any) -> None:
    kept()
    done = invoke("costs", "purge", "--before", f"{TODAY - timedelta(days=2):%Y-%m-%d}", "--yes", "--json")
    valid("purge.json", found(done))
    assert found(done)["purged"] == 1
    assert found(invoke("costs", "--json"))["total"]["calls"] == 4
    assert "2 calls forgotten." in invoke("costs", "purge", "--before", "2d", "--yes").stderr
    assert "No call began before" in invoke("costs", "purge", "--before", "2d", "--yes").stderr


def test_before_calls_are_forgotten_it_asks(invoke: Invoke, kept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept()
    monkeypatch.setattr("pointsman_cli.costs.purging.is_terminal", lambda stream: True)
    done = invoke("costs", "purge", "--before", "2d", stdin="n\n")
    assert "Forget 3 calls before" in done.stderr
    assert (done.exit_code, "Nothing was forgotten." in done.stderr) == (1, True)
    assert found(invoke("costs", "--json"))["total"]["calls"] == 5
    done = invoke("costs", "purge", "--before", "2d", stdin="y\n")
    assert (done.exit_code, "3 calls forgotten." in done.stderr) == (0, True)
    assert found(invoke("costs", "--json"))["total"]["calls"] == 2


# On a terminal --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_a_terminal_shows_a_picture_first(terminal: Any, kept: Any, columns: int) -> None:
    kept()
    screen = terminal("costs", "--if", "sambanova/gpt-oss-120b", columns=columns, env={"NO_COLOR": "1"})
    assert screen.code == 0
    assert [line for line in screen.text.splitlines() if len(line) > columns and " " in line.strip()] == []
    assert screen.text.index("█ b  ▓ a") < screen.text.index("b/m1") < screen.text.index("≥ $0.47 for 5 calls")
    assert "?: not all of it is known" in screen.text


PAGE = Path(__file__).parents[3] / "docs" / "costs.md"
OCTOBER = [
    call(
        (
            target,
            "finished",
            Exact(Decimal(mill * (3 + day * share % 7)) / 1000),
            tokens(90 * mill, 20 * mill, mill),
        ),
        days_ago=(TODAY - datetime(2026, 10, day, tzinfo=UTC)).days,
    )
    for day in range(1, 32)
    if day % 7 not in (3, 4)
    for target, mill, share in (("sambanova/gpt-oss-120b", 12, 3), ("hf/openai/gpt-oss-120b", 7, 5))
]
TROUBLE = [
    (("blaxel/sandbox-openai", "finished", Unknown, tokens(400, 90)), 20),
    (("sambanova/gpt-oss-120b", "cancelled", AtLeast("0.0052"), tokens(300, 20, estimated=True)), 22),
]
OCTOBER += [call(one, days_ago=(TODAY - datetime(2026, 10, day, tzinfo=UTC)).days) for one, day in TROUBLE]


@pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")
def test_the_page_shows_what_is_shown(terminal: Any, kept: Any) -> None:
    kept(OCTOBER)
    line = ["costs", "--since", "2026-10", "--until", "2026-10"]
    shown = terminal(*line, columns=76, env={"NO_COLOR": "1"}).text
    assert f"```text\n$ pointsman {' '.join(line)}\n{shown}```\n" in PAGE.read_text("utf-8")


@pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")
def test_the_page_tells_of_whatever_may_be_said() -> None:
    page = PAGE.read_text("utf-8")
    for name in DIMENSIONS:
        assert f"`{name}`" in page
    for way in re.split(", | or ", WAYS):
        assert f"`{way}`" in page


@pytest.mark.parametrize(
    ("by", "legend"),
    [(["outcome"], "█ finished"), (["day"], "█ b  ▓ a"), (["model", "outcome", "day"], "█ b/m1  ▓ a/m1")],
)
def test_the_picture_is_divided_by_what_comes_first_beside_the_day(
    terminal: Any, kept: Any, by: list[str], legend: str
) -> None:
    kept()
    screen = terminal("costs", *(part for one in by for part in ("--by", one)), env={"NO_COLOR": "1"})
    assert screen.text.index("0 └") < screen.text.index(legend) < screen.text.index("≥ $0.47 for 5 calls")


def test_colours_and_ascii(terminal: Any, kept: Any) -> None:
    kept()
    assert "\x1b[34m" in terminal("costs").text
    plain = terminal("costs", env={"NO_COLOR": "1", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}).text
    assert plain.isascii()
    assert "# b  o a" in plain
    assert ">= $0.47 for 5 calls" in plain


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0"), (9_999, "9,999"), (12_345, "12.3k"), (999_950, "1M"), (5_671_234_567_890, "5,671G")]
)
def test_large_numbers_are_short(number: int, said: str) -> None:
    assert shortened(number) == said
