import hashlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants

from xlmr import checkpoint
from xlmr.errors import BadCheckpoint, NotAvailable, OtherArchitecture

FIRST, SECOND = "1" * 40, "2" * 40
NAME = "somebody/tiny-xlmr"


@dataclass
class Hub:
    """Enough of the hub's protocol for one model: files by commit, branches, and what was asked of it."""

    url: str
    files: dict[str, dict[str, bytes]]
    branches: dict[str, str]
    refusal: tuple[int, str] | None = None
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        name, _, rest = path.lstrip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        commit = self.branches.get(revision, revision)
        if self.refusal:
            return self.refusal[0], {"X-Error-Code": self.refusal[1]}, b""
        if name != NAME:
            return 401, {"X-Error-Code": "RepoNotFound"}, b""
        if commit not in self.files:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        if file not in self.files[commit]:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b""
        body = self.files[commit][file]
        return 200, {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha256(body).hexdigest()}"'}, body


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        self.hub.asked.append(f"{self.command} {self.path}")
        status, headers, body = self.hub.answer(self.path)
        self.send_response(status)
        for key, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_GET = do_HEAD

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with two commits of a model, of which `main` is the second, and an empty cache."""
    files = {path.name: path.read_bytes() for path in tiny.iterdir()}
    served = type("Served", (Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), served)
    server.daemon_threads = True
    first = files | {"config.json": files["config.json"].replace(b"0.02", b"0.03")}
    own = Hub(f"http://127.0.0.1:{server.server_port}", {FIRST: first, SECOND: files | {"harm.py": b"1/0"}}, {"main": SECOND, "v1": FIRST})
    served.hub = own  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    set_hub(monkeypatch, own.url, tmp_path / "cache")
    yield own
    server.shutdown()
    server.server_close()


def set_hub(monkeypatch: pytest.MonkeyPatch, url: str, cache: Path, *, offline: bool = False) -> None:
    """What huggingface_hub takes from the environment when it is imported."""
    close_session()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)


def stds(*revisions: str | None) -> list[float]:
    return [checkpoint.open(NAME, revision=revision).config.init_std for revision in revisions]


def test_a_model_is_fetched_and_only_the_files_it_needs(hub: Hub, tiny: Path) -> None:
    opened = checkpoint.open(NAME)
    assert {path.name for path in opened.folder.iterdir()} == {"config.json", "tokenizer.json", "model.safetensors"}
    assert (opened.folder / "model.safetensors").read_bytes() == (tiny / "model.safetensors").read_bytes()
    assert checkpoint.read(opened, "head.bias").shape == (500,)
    assert opened.folder.name == SECOND


def test_a_revision_is_a_branch_a_tag_or_a_commit(hub: Hub) -> None:
    assert stds(None, "main", SECOND, "v1", FIRST) == [0.02, 0.02, 0.02, 0.03, 0.03]


def test_a_cached_commit_asks_nothing_of_the_network(hub: Hub) -> None:
    stds(FIRST)
    hub.asked.clear()
    assert stds(FIRST) == [0.03]
    assert hub.asked == []


def test_a_branch_is_looked_up_again_with_one_question(hub: Hub) -> None:
    stds(None)
    hub.asked.clear()
    assert stds(None) == [0.02]
    assert hub.asked == [f"HEAD /{NAME}/resolve/main/config.json"]
    hub.branches["main"] = FIRST
    assert stds(None) == [0.03]


def test_all_files_are_of_one_commit(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, got = hub.answer, "GET /somebody/tiny-xlmr/resolve/main/config.json"

    def moving(path: str) -> tuple[int, dict[str, str], bytes]:
        found = answer(path)
        if got in hub.asked:
            hub.branches["main"] = FIRST
        return found

    monkeypatch.setattr(hub, "answer", moving)
    assert checkpoint.open(NAME).folder.name == SECOND
    assert hub.branches["main"] == FIRST
    later = hub.asked[hub.asked.index(got) + 1 :]
    assert {file.rpartition("/")[0].split()[1] for file in later} == {f"/{NAME}/resolve/{SECOND}"}


@pytest.mark.parametrize("revision", [None, "main", SECOND])
def test_offline_the_cache_is_used(revision: str | None, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.open(NAME)
    hub.asked.clear()
    set_hub(monkeypatch, hub.url, tmp_path / "cache", offline=True)
    assert checkpoint.open(NAME, revision=revision).has_mlm_head
    assert hub.asked == []


def test_out_of_reach_the_cache_is_used(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.open(NAME)
    set_hub(monkeypatch, "http://127.0.0.1:9", tmp_path / "cache")
    assert checkpoint.open(NAME).has_mlm_head


def test_offline_what_is_not_in_the_cache_is_not_available(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.open(NAME)
    set_hub(monkeypatch, hub.url, tmp_path / "cache", offline=True)
    hub.asked.clear()
    for name, revision in ((NAME, "v1"), (NAME, FIRST), ("somebody/else", None)):
        with pytest.raises(
            NotAvailable, match=rf"^{name}.*: not in the cache at .*/cache, and HF_HUB_OFFLINE forbids to fetch it"
        ) as caught:
            checkpoint.open(name, revision=revision)
        assert f"run: hf download {name} config.json tokenizer.json model.safetensors. Or name a folder" in str(caught.value)
    assert hub.asked == []


@pytest.mark.parametrize(
    ("name", "revision", "refusal", "message"),
    [
        (
            "somebody/else",
            None,
            None,
            "somebody/else: there is no such folder, and no such model on the hub, or a private one. Check the name",
        ),
        (NAME, "v9", None, r"somebody/tiny-xlmr \(v9\): the model is on the hub, this revision is not; wanted a branch, tag or commit"),
        (
            NAME,
            None,
            (403, "GatedRepo"),
            "its owner gives it to those who ask; accept the conditions on its page, then log in with `hf auth",
        ),
        (NAME, None, (418, ""), r"somebody/tiny-xlmr: not in the cache at .*, and http://127.0.0.1:\d+ is out of reach. Check the network"),
        ("some--body/else", None, None, "some--body/else: cannot be fetched .HFValidationError: "),
    ],
)
def test_what_the_hub_does_not_give_is_not_available(
    name: str, revision: str | None, refusal: tuple[int, str] | None, message: str, hub: Hub
) -> None:
    hub.refusal = refusal
    with pytest.raises(NotAvailable, match=message):
        checkpoint.open(name, revision=revision)


def test_the_library_logs_nothing_meanwhile_and_again_afterwards(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from xlmr.checkpoint import hub as hubs

    logger, fetch = logging.getLogger("huggingface_hub.file_download"), hubs.hf_hub_download

    def complaining(*arguments: str, **options: str) -> str:
        logger.warning("Retrying in 1s")
        return fetch(*arguments, **options)

    monkeypatch.setattr(hubs, "hf_hub_download", complaining)
    library = logging.getLogger("huggingface_hub")
    library.addHandler(caplog.handler)
    try:
        checkpoint.open(NAME)
        assert caplog.messages == []
        logger.warning("afterwards")
        assert set(caplog.messages) == {"afterwards"}
    finally:
        library.removeHandler(caplog.handler)


def test_another_architecture_is_refused_before_its_weights_are_fetched(hub: Hub) -> None:
    hub.files[SECOND]["config.json"] = b'{"model_type": "bert"}'
    with pytest.raises(OtherArchitecture, match=r"config.json: model_type is 'bert'; xlmr runs 'xlm-roberta'"):
        checkpoint.open(NAME)
    assert not any("model.safetensors" in asked for asked in hub.asked)


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json"])
def test_a_model_without_one_of_the_files_is_refused(missing: str, hub: Hub) -> None:
    del hub.files[SECOND][missing]
    with pytest.raises(
        BadCheckpoint, match=f"^somebody/tiny-xlmr: the hub has no {missing} of it; a checkpoint has config.json, tokenizer"
    ):
        checkpoint.open(NAME)


@pytest.mark.parametrize(
    ("instead", "message"),
    [
        ("pytorch_model.bin", "found pytorch_model.bin, wanted model.safetensors. Opening a pickle can run any code in it"),
        ("model.safetensors.index.json", "the weights lie in several files, wanted one model.safetensors"),
        ("README.md", "model.safetensors not found; a checkpoint is a folder with"),
    ],
)
def test_a_model_without_safetensors_is_refused_and_nothing_else_is_fetched(instead: str, message: str, hub: Hub) -> None:
    hub.files[SECOND] = hub.files[SECOND] | {instead: b"whatever"}
    del hub.files[SECOND]["model.safetensors"]
    with pytest.raises(BadCheckpoint, match=f"^somebody/tiny-xlmr: {message}"):
        checkpoint.open(NAME)
    assert f"GET /{NAME}/resolve/{SECOND}/{instead}" not in hub.asked


def test_a_broken_download_is_refused(hub: Hub) -> None:
    hub.files[SECOND]["model.safetensors"] = hub.files[SECOND]["model.safetensors"][:-1]
    with pytest.raises(BadCheckpoint, match="it is truncated"):
        checkpoint.open(NAME)


OPEN = """
import json, sys
from xlmr import checkpoint, errors
try:
    print(json.dumps(["opened", str(checkpoint.open(sys.argv[1]).folder)]))
except errors.XlmrError as error:
    print(json.dumps([error.kind, str(error)]))
"""


def test_the_variables_of_the_environment_count(hub: Hub, tmp_path: Path) -> None:
    def ask(name: str, **more: str) -> list[str]:
        variables = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1"}
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | variables | more
        done = subprocess.run([sys.executable, "-c", OPEN, name], check=True, capture_output=True, text=True, env=environment)
        found: list[str] = json.loads(done.stdout)
        return found

    folder = str(tmp_path / "home" / "hub" / "models--somebody--tiny-xlmr" / "snapshots" / SECOND)
    assert ask(NAME, HF_HUB_OFFLINE="1")[0] == "NotAvailable"
    assert ask(NAME) == ["opened", folder]
    hub.asked.clear()
    assert ask(NAME, HF_HUB_OFFLINE="1") == ["opened", folder]
    assert hub.asked == []


def test_a_cache_that_others_have_filled_is_used(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "models--somebody--tiny-xlmr"
    for place in ("blobs", "refs", f"snapshots/{FIRST}"):
        (model / place).mkdir(parents=True)
    (model / "refs" / "main").write_text(FIRST)
    for i, name in enumerate(("config.json", "tokenizer.json", "model.safetensors")):
        (model / "blobs" / str(i)).write_bytes((tiny / name).read_bytes())
        (model / "snapshots" / FIRST / name).symlink_to(f"../../blobs/{i}")
    set_hub(monkeypatch, "http://127.0.0.1:9", tmp_path, offline=True)
    opened = checkpoint.open(NAME)
    assert opened.folder == model / "snapshots" / FIRST
    assert {where.file for where in opened.stored.values()} == {(model / "blobs" / "2").resolve()}
