"""What stands under ``[policy]``, and what is said of a mistake there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pointsman import ConfigError, PluginError, Plugins, Policy, Settings
from pointsman_policy import TASKS
from pointsman_policy.scored import Scored


def made(**policy: Any) -> Policy:
    """As a client makes it."""
    return Plugins.installed().policy("scored", Settings.of({"policy": policy}))


def test_it_is_made_with_what_is_set() -> None:
    made_so = made(
        explore=0.1,
        stay=0.5,
        tasks={
            "code_generation": {"prefer": ["blaxel/agent:coder", "modal/*"], "avoid": ["*"], "priority": "quality"},
            "migrations": {"like": "code_refactoring", "fallback": ["hf/*"]},
        },
        weights={"cost": {"price": 2}},
        quality={"modal/*": 9.5},
    )
    assert isinstance(made_so, Scored)
    assert made_so.policy_hash != getattr(made(), "policy_hash", "")


def test_it_is_the_policy_that_is_found_without_a_name() -> None:
    assert Plugins.installed().policy(settings=Settings.of()).name == "scored"


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (
            {"explor": 0.1},
            "[policy] has no setting 'explor' (from argument): it has explore, stay, tasks, weights, "
            "quality; did you mean 'explore'?",
        ),
        ({"explore": 2}, "[policy] explore (from argument): "),
        ({"explore": True}, "[policy] explore (from argument): is not a switch: true and false do not fit"),
        ({"stay": False}, "[policy] stay (from argument): is not a switch"),
        ({"weights": {"cost": {"price": True}}}, "[policy] weights.cost.price (from argument): is not a switch"),
        ({"quality": {"a/*": True}}, "[policy] quality.a/* (from argument): is not a switch"),
        ({"explore": float("nan")}, "[policy] explore (from argument): is a finite number, not nan"),
        ({"explore": "often"}, "[policy] explore (from argument): is a number, not 'often'"),
        (
            {"tasks": {"code_genration": {"prefer": ["a/b"]}}},
            f"[policy] tasks (from argument): there is no task 'code_genration': there are {', '.join(TASKS)}; did you "
            "mean 'code_generation'?; one of your own says which it is like: like = \"general_qa\"",
        ),
        (
            {"tasks": {"mine": {"like": "codereview"}}},
            "[policy] tasks.mine.like (from argument): there is no task 'codereview'",
        ),
        (
            {"tasks": {"writing": {"like": "agentic"}}},
            "[policy] tasks (from argument): writing is a task that is known: leave out like",
        ),
        (
            {"tasks": {"writing": {"prefers": ["a/b"]}}},
            "[policy.tasks.writing] has no setting 'prefers' (from argument): "
            "it has prefer, fallback, avoid, priority, like; did you mean 'prefer'?",
        ),
        (
            {"tasks": {"writing": {"prefer": "a/b, c/d"}}},
            '[policy] tasks.writing.prefer (from argument): is a list: ["a/b", "c/d"]',
        ),
        (
            {"tasks": {"writing": {"prefer": ["modal"]}}},
            "[policy] tasks.writing.prefer (from argument): 'modal' is no pattern: write provider/model, "
            "where * stands for anything, such as 'modal/*'",
        ),
        (
            {"tasks": {"writing": {"avoid": [" a/b"]}}},
            "[policy] tasks.writing.avoid (from argument): ' a/b' fits nothing: leave out the blanks around it",
        ),
        (
            {"tasks": {"writing": {"prefer": ["a/*"], "avoid": ["a/*"]}}},
            "[policy] tasks (from argument): writing: 'a/*' stands in prefer and in avoid: leave it out of one",
        ),
        (
            {"tasks": {"writing": {"priority": "fast"}}},
            "[policy] tasks.writing.priority (from argument): is one of balanced, speed, quality, cost, not 'fast'",
        ),
        (
            {"weights": {"fast": {"price": 1}}},
            "[policy] weights.fast (from argument): is one of balanced, speed, quality, cost, not 'fast'",
        ),
        (
            {"weights": {"cost": {"prize": 1}}},
            "[policy.weights.cost] has no setting 'prize' (from argument): it has first_token, ",
        ),
        ({"weights": {"cost": {"price": -1}}}, "[policy] weights.cost.price (from argument): is 0 or more, not -1"),
        (
            {"weights": {"cost": dict.fromkeys(("first_token", "answer", "price", "reliability", "quality"), 0)}},
            "[policy] (from argument): weights: all of cost are 0, so nothing counts: leave one above 0",
        ),
        ({"quality": {"modal": 9}}, "[policy] quality.modal (from argument): 'modal' is no pattern"),
        ({"quality": {"modal/*": 11}}, "[policy] quality.modal/* (from argument): "),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_to_write(policy: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(**policy)
    assert str(caught.value).startswith(said)


def test_a_file_says_it_in_toml(tmp_path: Path) -> None:
    file = tmp_path / "pointsman.toml"
    file.write_text('[policy.tasks.code_generation]\nprefer = ["blaxel/agent:coder", 7]\n')
    settings = Settings.discover(environ={"HOME": str(tmp_path)}, folder=tmp_path)
    with pytest.raises(ConfigError) as caught:
        Plugins.installed().policy("scored", settings)
    assert str(caught.value).startswith("[policy] tasks.code_generation.prefer (from ")
    assert str(file) in str(caught.value)
    assert str(caught.value).endswith("is a list of texts: 7 is none")


def test_the_environment_says_it_too() -> None:
    settings = Settings.of(environ={"POINTSMAN_POLICY_EXPLORE": "0.5"})
    plugins = Plugins.installed()
    found = [plugins.policy("scored", one) for one in (settings, Settings.of({"policy": {"explore": 0.5}}))]
    assert len({getattr(one, "policy_hash", "") for one in found}) == 1


def test_keywords_has_no_settings() -> None:
    with pytest.raises(ConfigError, match=r"\[policy\] explore .*'keywords' has no settings"):
        Plugins.installed().policy("keywords", Settings.of({"policy": {"explore": 0.5}}))


def test_whoever_chooses_another_policy_for_once_leaves_settings_where_they_are(tmp_path: Path) -> None:
    file = tmp_path / "pointsman.toml"
    file.write_text("[policy]\nexplore = 0.5\n")
    once = {"POINTSMAN_ROUTING_POLICY": "keywords", "POINTSMAN_CONFIG": str(file)}
    assert Plugins.installed().policy("keywords", Settings.discover(once, tmp_path)).name == "keywords"
    file.write_text("[routing]\npolicy = 'keywords'\n[policy]\nexplore = 0.5\n")
    with pytest.raises(ConfigError, match="has no settings"):
        Plugins.installed().policy("keywords", Settings.discover({"POINTSMAN_CONFIG": str(file)}, tmp_path))


def test_to_import_the_plugin_loads_neither_pydantic_nor_a_model() -> None:
    program = (
        "import sys, pointsman_policy.plugin as plugin\n"
        "print(sorted({'pydantic', 'pointsman_policy.scored', 'pointsman_policy.settings'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_package_that_is_broken_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(request: object) -> None:
        raise EOFError("it ends too soon")

    monkeypatch.setattr("pointsman_policy.classification.classify", torn)
    with pytest.raises(PluginError, match=r"EOFError: it ends too soon\).*install pointsman-policy again"):
        made()
