import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hub_server import FIRST, NAME, SECOND, Hub, set_hub
from huggingface_hub import constants

import xlmr
from xlmr import checkpoint
from xlmr.checkpoint import attachments
from xlmr.errors import BadCheckpoint, NotAvailable, OtherArchitecture


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
        told = f"--model {name}{f' --revision {revision}' if revision else ''}"
        assert f"Where there is a network, run: xlmr info {told}. Or name a folder" in str(caught.value)
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
        (NAME, None, (401, ""), r"somebody/tiny-xlmr: http://127.0.0.1:\d+ answers with status 401. Try again later, log in with `hf auth"),
        (NAME, None, (418, ""), r"somebody/tiny-xlmr: http://127.0.0.1:\d+ answers with status 418. Try again later"),
        ("some--body/else", None, None, "some--body/else: cannot be fetched .HFValidationError: "),
    ],
)
def test_what_the_hub_does_not_give_is_not_available(
    name: str, revision: str | None, refusal: tuple[int, str] | None, message: str, hub: Hub
) -> None:
    hub.refusal = refusal
    with pytest.raises(NotAvailable, match=message):
        checkpoint.open(name, revision=revision)


def test_a_hub_out_of_reach_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    set_hub(monkeypatch, "http://127.0.0.1:9", tmp_path / "cache")
    with pytest.raises(NotAvailable, match=f"^{NAME}: not in the cache at .*, and http://127.0.0.1:9 is out of reach. Check the network"):
        checkpoint.open(NAME)


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
        BadCheckpoint, match=f"^somebody/tiny-xlmr: the hub has no {missing} of it(, nor .*)?; a checkpoint has config.json, tokenizer"
    ):
        checkpoint.open(NAME)


@pytest.mark.parametrize(
    ("instead", "message"),
    [
        ("pytorch_model.bin", "found pytorch_model.bin, wanted model.safetensors. Opening a pickle can run any code in it"),
        ("params.safetensors", "found params.safetensors, which `xlmr export` writes for other frameworks, wanted model.safetensors"),
        ("tf_model.h5", "found tf_model.h5, which no library of today reads; wanted model.safetensors"),
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


def got(hub: Hub) -> list[str]:
    """The files that were fetched, in order."""
    return [asked.split()[1].rpartition(f"{SECOND}/")[2] for asked in hub.asked if asked.startswith(f"GET /{NAME}/")]


@pytest.fixture
def placed(hub: Hub, tiny: Path, tmp_path: Path, split: Callable[..., dict[str, str]]) -> dict[str, str]:
    """The hub's model is in several files, and which of them has which tensor."""
    shutil.copytree(tiny, tmp_path / "sharded")
    found = split(tmp_path / "sharded")
    hub.files[SECOND] = {path.name: path.read_bytes() for path in (tmp_path / "sharded").iterdir()}
    return found


def test_a_model_in_several_files_is_fetched(hub: Hub, tiny: Path, placed: dict[str, str]) -> None:
    whole = checkpoint.weights(checkpoint.open(tiny))
    found = checkpoint.weights(checkpoint.open(NAME))
    assert all(np.array_equal(found[name], whole[name]) for name in whole)
    assert {file for file in got(hub) if file.endswith(".safetensors")} == set(placed.values())
    hub.asked.clear()
    assert checkpoint.open(NAME, revision=SECOND).has_mlm_head
    assert hub.asked == []


def test_an_index_that_leads_elsewhere_is_refused_before_any_weights_are_fetched(hub: Hub, placed: dict[str, str]) -> None:
    hub.files[SECOND]["model.safetensors.index.json"] = b'{"weight_map": {"a": "../../../secret.safetensors"}}'
    with pytest.raises(BadCheckpoint, match=r"the file of a is '\.\./\.\./\.\./secret.safetensors', wanted the plain name"):
        checkpoint.open(NAME)
    assert not any("safetensors" in file and "index" not in file for file in got(hub))


def test_a_shard_the_hub_has_not_is_named(hub: Hub, placed: dict[str, str]) -> None:
    shard = max(placed.values())
    del hub.files[SECOND][shard]
    with pytest.raises(BadCheckpoint, match=f"^{NAME}: the hub has no {shard} of it"):
        checkpoint.open(NAME)


def test_a_model_with_its_sentencepiece_file_only_is_fetched(hub: Hub) -> None:
    del hub.files[SECOND]["tokenizer.json"]
    hub.files[SECOND]["sentencepiece.bpe.model"] = b"pieces"
    assert {path.name for path in checkpoint.open(NAME).folder.iterdir()} == {"config.json", "sentencepiece.bpe.model", "model.safetensors"}
    hub.asked.clear()
    checkpoint.open(NAME, revision=SECOND)
    assert hub.asked == []


SENTENCES = {
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ],
    "1_Pooling/config.json": {"word_embedding_dimension": 32, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
    "config_sentence_transformers.json": {"prompts": {"query": "query: "}},
    "sentence_bert_config.json": {"max_seq_length": 32},
}


def test_the_files_of_sentence_transformers_are_fetched_too(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files[SECOND] |= {name: json.dumps(content).encode() for name, content in SENTENCES.items()}
    vector = xlmr.load(NAME, threads=1).embed("the cat", prompt="query")
    assert got(hub)[-1] == "model.safetensors"  # last: what is small may tell that it is not wanted
    assert np.linalg.norm(vector) == pytest.approx(1)
    hub.asked.clear()
    set_hub(monkeypatch, hub.url, tmp_path / "cache", offline=True)
    np.testing.assert_array_equal(xlmr.load(NAME, threads=1).embed("the cat", prompt="query"), vector)
    assert hub.asked == []


def test_attachments_are_fetched_where_there_are_some(hub: Hub, speaking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each revision its own: the first has none."""
    hub.files[SECOND] |= {"languages.safetensors": (speaking / "languages.safetensors").read_bytes(), "calibration.safetensors": b"some"}
    opened = checkpoint.open(NAME)
    assert attachments.names(opened.folder) == ["calibration", "languages"]
    assert got(hub)[-1] == "model.safetensors"
    answer = xlmr.load(NAME, threads=1).identify_language("Der Schlüssel liegt auf dem Tisch.")
    assert answer == xlmr.load(speaking, threads=1).identify_language("Der Schlüssel liegt auf dem Tisch.")
    assert attachments.names(checkpoint.open(NAME, revision="v1").folder) == []
    hub.asked.clear()
    assert attachments.names(checkpoint.open(NAME, revision=FIRST).folder) == []
    set_hub(monkeypatch, hub.url, tmp_path / "cache", offline=True)
    assert xlmr.load(NAME, threads=1).identify_language("Der Schlüssel liegt auf dem Tisch.") == answer
    assert hub.asked == []


def test_attachments_that_come_with_a_later_commit_are_fetched(hub: Hub, speaking: Path) -> None:
    hub.branches["main"] = FIRST
    assert attachments.names(checkpoint.open(NAME).folder) == []
    hub.files[SECOND]["languages.safetensors"] = (speaking / "languages.safetensors").read_bytes()
    hub.branches["main"] = SECOND
    assert attachments.names(checkpoint.open(NAME).folder) == ["languages"]


def test_what_was_done_to_a_compressed_model_is_fetched(hub: Hub) -> None:
    hub.files[SECOND]["compression.json"] = b'{"steps": []}'
    assert (checkpoint.open(NAME).folder / "compression.json").read_bytes() == b'{"steps": []}'
    assert got(hub)[-1] == "model.safetensors"


def test_modules_outside_the_model_are_refused_before_its_weights_are_fetched(hub: Hub) -> None:
    hub.files[SECOND]["modules.json"] = b'[{"type": "sentence_transformers.models.Pooling", "path": "../../secret"}]'
    with pytest.raises(BadCheckpoint, match=r"modules.json: module 0: its path is '\.\./\.\./secret', wanted the plain name of a folder"):
        checkpoint.open(NAME)
    assert "model.safetensors" not in got(hub)


def test_a_connection_that_breaks_off_is_taken_up_where_it_was(hub: Hub, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)  # what was received of one that is not full is asked for again
    hub.cuts["model.safetensors"] = [30_000, 20_000]
    assert (checkpoint.open(NAME).folder / "model.safetensors").read_bytes() == (tiny / "model.safetensors").read_bytes()
    ranges = [asked.split()[2:] for asked in hub.asked if asked.startswith("GET") and "model.safetensors" in asked]
    assert ranges == [[], ["bytes=30000-"], ["bytes=50000-"]]


def test_an_answer_cut_off_for_good_is_told_and_leaves_nothing_half(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.cuts["model.safetensors"] = [30_000, *[0] * 9]
    with pytest.raises(NotAvailable, match=f"^{NAME}: cannot be fetched .*RemoteProtocolError"):
        checkpoint.open(NAME)
    cache = tmp_path / "cache" / f"models--{NAME.replace('/', '--')}"
    assert {path.name for path in (cache / "snapshots" / SECOND).iterdir()} == {"config.json", "tokenizer.json"}
    assert max(path.stat().st_size for path in (cache / "blobs").iterdir()) < 30_000 or not list((cache / "blobs").glob("*.incomplete"))
    hub.cuts.clear()
    assert checkpoint.open(NAME).has_mlm_head


INTERRUPTED = """
import os, signal, sys, threading, time
from xlmr import checkpoint
from xlmr.checkpoint import hub
fetch = hub.hf_hub_download
def killed(name, file, **more):
    if file == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
    return fetch(name, file, **more)
hub.hf_hub_download = killed
checkpoint.open(sys.argv[1])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system kills differently")
def test_what_was_fetched_before_an_interruption_is_not_fetched_again(hub: Hub, placed: dict[str, str], tmp_path: Path) -> None:
    shards = sorted(set(placed.values()))
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, NAME, shards[1]], check=False, env=asking(hub, tmp_path / "home"))
    assert done.returncode == -signal.SIGKILL
    assert shards[0] in got(hub)
    hub.asked.clear()
    subprocess.run([sys.executable, "-c", OPEN, NAME], check=True, capture_output=True, env=asking(hub, tmp_path / "home"))
    assert got(hub) == shards[1:]


def asking(hub: Hub, home: Path) -> dict[str, str]:
    """The environment of a process that asks this hub and has its cache under `home`."""
    variables = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1"}
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | variables


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
        environment = asking(hub, tmp_path / "home") | more
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
