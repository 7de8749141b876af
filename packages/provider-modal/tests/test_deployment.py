"""What is deployed crosses into the container as JSON: it arrives as it was, or it is said what cannot be read."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_modal_app.settings import VARIABLE, Deployment

KINDS: dict[type, st.SearchStrategy[Any]] = {
    str: st.text(),
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    tuple: st.lists(st.text()).map(tuple),
}
DEPLOYMENTS = st.builds(Deployment, **{field.name: KINDS[type(field.default)] for field in fields(Deployment)})


@given(DEPLOYMENTS)
def test_it_arrives_as_it_was(deployment: Deployment) -> None:
    assert Deployment.from_environ({VARIABLE: deployment.to_json()}) == deployment


@given(DEPLOYMENTS)
def test_the_same_values_are_the_same_text(deployment: Deployment) -> None:
    """Or the image would be built anew at each deploy."""
    assert replace(deployment).to_json() == Deployment.from_json(deployment.to_json()).to_json() == deployment.to_json()


def test_without_the_variable_the_defaults_hold() -> None:
    assert Deployment.from_environ({}) == Deployment.from_environ({VARIABLE: ""}) == Deployment()
    assert Deployment.from_json('{"cpu": 2, "gpu": ["L4"]}') == Deployment(cpu=2.0, gpu=("L4",))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gpu=L4", "DEPLOYMENT is not JSON: .* `pointsman modal deploy` sets it"),
        ('["L4"]', r"no JSON object: \["),
        ('{"gpus": 1}', "no 'gpus'; there are name, model, gpu, cpu"),
        ('{"gpu": "L4"}', 'gpu is to be a list of texts, not "L4"'),
        ('{"gpu": [4]}', r"gpu is to be a list of texts, not \[4\]"),
        ('{"memory": "16GB"}', 'memory is to be a whole number, not "16GB"'),
        ('{"memory": 16.5}', "memory is to be a whole number"),
        ('{"port": true}', "port is to be a whole number, not true"),
        ('{"cpu": null}', "cpu is to be a number, not null"),
        ('{"cpu": false}', "cpu is to be a number"),
        ('{"name": 3}', "name is to be a text"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        Deployment.from_json(text)
    assert VARIABLE in str(raised.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_json_is_a_surprise(value: Any) -> None:
    text = json.dumps(value)
    if value != {}:
        with pytest.raises(ValueError, match=VARIABLE):
            Deployment.from_json(text)


def test_the_server_listens_where_the_web_asks_and_keeps_what_it_serves() -> None:
    environ = Deployment(port=8080, context_tokens=4096, parallel=7).server_environ()
    assert environ["OLLAMA_HOST"] == "0.0.0.0:8080"
    assert environ["OLLAMA_KEEP_ALIVE"] == "-1"
    assert (environ["OLLAMA_CONTEXT_LENGTH"], environ["OLLAMA_NUM_PARALLEL"]) == ("4096", "7")
    assert all(isinstance(value, str) for value in environ.values())
