"""How the weights get into the Volume: once, whole, and on from where a killed pull has left them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_modal_app.container import Server, ServerFailed
from pointsman_modal_app.weights import Progress, _remove_torn, _write_receipt, describe, ensure, fetched, is_whole

MODEL = "qwen2.5-coder:7b"
PULL = """
import sys
from pathlib import Path
from pointsman_modal_app.settings import Deployment
from pointsman_modal_app.weights import fetched
for _ in fetched(Deployment.from_environ(), "qwen2.5-coder:7b", Path(sys.argv[1])):
    pass
"""


def test_a_first_start_pulls_and_a_second_one_does_not(container: Any, source: Any) -> None:
    reloads: list[bool] = []

    def pull(model: str) -> Iterator[Progress]:
        return fetched(container.deployment, model, container.models)

    def reload() -> None:
        reloads.append(is_whole(container.models, MODEL))

    ensure(container.models, MODEL, pull, reload)
    assert reloads == [True]
    [weights, config] = source.blobs
    assert sum(last + 1 - first for digest, first, last in source.given if digest == weights) == len(
        source.blobs[weights]
    )
    assert (container.models / "blobs" / config.replace(":", "-")).read_bytes() == source.blobs[config]

    source.given.clear()
    ensure(container.models, MODEL, pull, reload)
    assert [step["status"] for step in pull(MODEL)] == [f"{MODEL} is there"]
    assert source.given == []
    assert len(container.noted("server")) == len(reloads) == 1  # No other server was started.


def test_what_was_pulled_is_served_where_nothing_can_be_written(container: Any) -> None:
    """Ollama's source has two folders of manifests, and creates the one that is missing when it lists."""
    for _ in fetched(container.deployment, MODEL, container.models):
        pass
    assert is_whole(container.models, MODEL)
    assert all(any(folder.iterdir()) for folder in container.models.iterdir())
    container.mishap("read-only")
    server = Server(container.deployment, container.models)
    server.start_loaded()
    server.stop()


def test_progress_is_told_of_each_file(container: Any, source: Any) -> None:
    steps = list(fetched(container.deployment, MODEL, container.models))
    said = [step["status"] for step in steps]
    assert said[0] == "pulling manifest"
    assert said[-2:] == ["success", f"{MODEL} is there"]
    pulled = {step["status"].removeprefix("pulling ") for step in steps if step["total"]}
    assert pulled == {digest[7:19] for digest in source.blobs}
    assert describe(Progress(status="pulling dae161e27b0e", completed=1_200_000_000, total=4_700_000_000)) == (
        "pulling dae161e27b0e: 1.20 of 4.70 GB"
    )


@pytest.mark.parametrize("pieces", [0, 5, 8], ids=["before the first", "in the first file", "before the second"])
def test_a_pull_that_was_killed_goes_on_where_it_was(pieces: int, container: Any, source: Any) -> None:
    source.holds_after = pieces
    environ = {**os.environ, "POINTSMAN_DEPLOYMENT": container.deployment.to_json()}
    with subprocess.Popen([sys.executable, "-c", PULL, str(container.models)], env=environ) as process:
        assert source.held.wait(60)
        process.send_signal(signal.SIGKILL)
        container.kill()
    assert process.returncode == -signal.SIGKILL
    assert not is_whole(container.models, MODEL)
    assert list(container.models.glob("blobs/*-partial-*"))

    before = len(source.given)
    source.holds_after = None
    source.go.set()
    for _ in fetched(container.deployment, MODEL, container.models):
        pass
    assert is_whole(container.models, MODEL)
    [weights, _] = source.blobs
    assert (container.models / "blobs" / weights.replace(":", "-")).read_bytes() == source.blobs[weights]
    again = {piece for piece in source.given[:before] if source.given.count(piece) > 1}
    assert len(again) <= 1  # The one that was under way.
    assert not list(container.models.rglob("*partial*"))


def test_what_a_kill_has_torn_is_fetched_again(container: Any, source: Any) -> None:
    """Ollama takes a short file for whole, and stumbles over a note that is no JSON, at each try."""
    container.put(source)
    weights, config = (container.models / "blobs" / digest.replace(":", "-") for digest in source.blobs)
    (container.models / "manifests/registry.ollama.ai/library/qwen2.5-coder/another").write_text(
        json.dumps(source.manifest())  # A model with the same files.
    )
    weights.write_bytes(b"short")
    config.rename(f"{config}-partial")
    for number in range(3):  # Each of the torn ones takes the others along.
        Path(f"{config}-partial-{number}").write_text('{"N": 0, "Off')
    for _ in fetched(container.deployment, MODEL, container.models):
        pass
    assert is_whole(container.models, MODEL)
    assert [weights.read_bytes(), config.read_bytes()] == [*source.blobs.values()]


def test_a_connection_that_breaks_is_tried_once_more(container: Any, source: Any) -> None:
    source.breaks_after = 3
    said = [step["status"] for step in fetched(container.deployment, MODEL, container.models)]
    [told] = [status for status in said if status.endswith("once more")]
    assert told.startswith(f"Ollama could not pull {MODEL}: unexpected EOF")
    assert is_whole(container.models, MODEL)


def test_a_pull_that_ends_without_a_word_of_success_is_none(container: Any) -> None:
    container.mishap("silent")
    with pytest.raises(ServerFailed, match=f"the pull of {MODEL} ended without success, after 'pulling "):
        list(fetched(container.deployment, MODEL, container.models))
    assert not is_whole(container.models, MODEL)
    assert all(map(container.gone, container.noted("server")))


def test_two_pulls_at_once_do_not_write_the_same_files(container: Any, source: Any) -> None:
    """Modal runs one container of `pull`; within one, the port is the lock."""
    source.holds_after = 3
    failed: list[BaseException] = []

    def first() -> None:
        try:
            list(fetched(container.deployment, MODEL, container.models))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    assert source.held.wait(60)
    with pytest.raises(ServerFailed, match=f"already listens on port {container.deployment.port}"):
        list(fetched(container.deployment, MODEL, container.models))
    source.go.set()
    thread.join(60)
    assert not failed
    assert is_whole(container.models, MODEL)
    assert len(container.noted("server")) == 1


def test_a_model_that_does_not_exist_is_named(container: Any) -> None:
    with pytest.raises(ServerFailed, match=r"no qwen9:7b: its models .* ollama\.com/library"):
        list(fetched(container.deployment, "qwen9:7b", container.models))
    assert not is_whole(container.models, "qwen9:7b")


def test_a_pull_that_nobody_finds_is_no_success(tmp_path: Path) -> None:
    done = [Progress(status="success", completed=0, total=0)]
    with pytest.raises(ServerFailed, match="this container does not find it"):
        ensure(tmp_path, MODEL, lambda _: done, lambda: None)


def test_a_receipt_lists_files_wherever_the_folder_is(tmp_path: Path) -> None:
    (models := tmp_path / "pointsman").mkdir()
    (models / "blob").touch()
    _write_receipt(models, MODEL)
    _write_receipt(models, "another")  # Of the first one nothing is said.
    assert is_whole(models, MODEL)
    assert json.loads((models / "pointsman/another.json").read_text())["files"] == {"blob": 0}


@given(
    sizes=st.dictionaries(st.sampled_from(["blobs/a", "blobs/b", "manifests/m", "x"]), st.integers(0, 9), min_size=1),
    data=st.data(),
)
def test_whatever_is_gone_or_of_another_length_is_noticed(sizes: dict[str, int], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        for name, size in sizes.items():
            (models / name).parent.mkdir(exist_ok=True)
            (models / name).write_bytes(bytes(size))
        (models / "blobs").mkdir(exist_ok=True)
        (models / "blobs/c-partial-0").touch()  # Of another pull, which is under way or was given up.
        assert not is_whole(models, MODEL)
        _write_receipt(models, MODEL)
        assert is_whole(models, MODEL)
        (models / "blobs/c-partial-0").unlink()
        (models / "later").touch()
        assert is_whole(models, MODEL)
        assert not is_whole(models, "qwen2.5-coder:14b")

        hurt = models / data.draw(st.sampled_from([*sizes]), label="file")
        if data.draw(st.booleans(), label="gone"):
            hurt.unlink()
        else:
            hurt.write_bytes(bytes(hurt.stat().st_size + 1))
        assert not is_whole(models, MODEL)


BLOBS = st.dictionaries(
    st.sampled_from([f"sha256-{letter * 64}" for letter in "abc"]),
    st.tuples(
        st.sampled_from(["whole", "short", "long", "in parts", "missing"]),
        st.lists(st.sampled_from(['{"N": 0}', "", '{"N', "\x00"]), max_size=3),
    ),
    min_size=1,
)


@given(blobs=BLOBS, manifests=st.lists(st.sampled_from(["of all", "torn", "of nothing"]), max_size=3))
def test_what_is_torn_goes_and_all_else_stays(blobs: dict[str, tuple[str, list[str]]], manifests: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        (models / "blobs").mkdir()
        for name, (state, notes) in blobs.items():
            if state in ("whole", "short", "long"):
                (models / "blobs" / name).write_bytes(bytes({"whole": 5, "short": 4, "long": 6}[state]))
            if state == "in parts":
                (models / f"blobs/{name}-partial").write_bytes(bytes(5))
                for number, note in enumerate(notes):
                    (models / f"blobs/{name}-partial-{number}").write_text(note)
        layers = [{"digest": name.replace("-", ":"), "size": 5} for name in blobs]
        told = {"of all": json.dumps({"config": layers[0], "layers": layers}), "torn": '{"conf', "of nothing": "{}"}
        for number, manifest in enumerate(manifests):
            file = models / f"manifests/registry.ollama.ai/library/model/{number}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(told[manifest])
        before = {path.name for path in (models / "blobs").iterdir()}

        _remove_torn(models)

        gone = before - {path.name for path in (models / "blobs").iterdir()}
        wrong = {name for name, (state, _) in blobs.items() if state in ("short", "long") and "of all" in manifests}
        for name, (state, notes) in blobs.items():
            if state == "in parts" and not all(note == '{"N": 0}' for note in notes):
                wrong |= {f"{name}-partial", *(f"{name}-partial-{number}" for number in range(len(notes)))}
        assert gone == wrong


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"files": {}}', '{"files": []}', '{"files": {"../..": 1}}'])
def test_a_receipt_that_says_nothing_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").touch()
    _write_receipt(tmp_path, MODEL)
    [receipt] = (tmp_path / "pointsman").iterdir()
    assert json.loads(receipt.read_text())["model"] == MODEL
    receipt.write_text(text)
    assert not is_whole(tmp_path, MODEL)
