"""What the commands about models print."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from calls import SCHEMAS, valid

from xlmr.checkpoint import attachments


@pytest.mark.parametrize(
    ("task", "labels", "told"),
    [
        ("question answering", (), "head          question answering; for `xlmr answer`\n"),
        ("token classification", ("O", "B-PER"), "token classification into O, B-PER; for `xlmr tag`\n"),
        ("sequence classification", "abcdefghij", "into a, b, c, d, e, f, g, h … (10 labels); for `xlmr classify`\n"),
        ("multiple choice", (), "multiple choice; no command runs it\n"),
    ],
)
def test_info_names_what_a_model_was_fine_tuned_for(run, tiny, monkeypatch, task, labels, told):
    from xlmr import checkpoint

    task = checkpoint.TaskHead(task, tuple(labels), {})
    monkeypatch.setattr(checkpoint, "open", lambda *_, **__: replace(opened, task=task))
    opened = checkpoint.folders.open(tiny)
    (facts,) = run("info", "--model", tiny, "--json").lines
    assert valid("info.json", facts)
    assert facts["head"] == {"task": task.task, "labels": list(labels)}
    assert told in run("info", "--model", tiny).out


def test_info_tells_how_vectors_are_made(run, tiny, tmp_path):
    modules = [
        {"type": f"sentence_transformers.models.{kind}", "path": path} for kind, path in (("Transformer", ""), ("Pooling", "1_Pooling"))
    ]
    shutil.copytree(tiny, tmp_path / "model")
    (tmp_path / "model" / "modules.json").write_text(json.dumps(modules))
    (tmp_path / "model" / "1_Pooling").mkdir()
    (tmp_path / "model" / "1_Pooling" / "config.json").write_text('{"pooling_mode": ["cls", "max"]}')
    (tmp_path / "model" / "config_sentence_transformers.json").write_text('{"prompts": {"query": "q: "}}')
    (facts,) = run("info", "--model", tmp_path / "model", "--json").lines
    assert valid("info.json", facts)
    assert facts["vectors"] == {"size": 64, "steps": ["cls", "max"], "prompts": ["query"], "longest": 64, "unknown": None}
    assert "text vectors  64 numbers: cls, max, cut after 64 tokens, prompts query" in run("info", "--model", tmp_path / "model").out
    (tmp_path / "model" / "1_Pooling" / "config.json").write_text('{"pooling_mode": "own"}')
    (facts,) = run("info", "--model", tmp_path / "model", "--json").lines
    assert valid("info.json", facts)
    assert facts["vectors"]["unknown"].endswith("1_Pooling/config.json: pooling_mode is 'own'")
    assert "text vectors  none (" in run("info", "--model", tmp_path / "model").out


def test_info_names_what_lies_beside_the_weights(run, tiny, speaking):
    (facts,) = run("info", "--model", speaking, "--json").lines
    assert valid("info.json", facts)
    assert facts["attachments"] == ["languages"]
    assert "  attachments   languages\n" in run("info", "--model", speaking).out
    assert run("info", "--model", tiny, "--json").lines[0]["attachments"] == []
    assert "attachments" not in run("info", "--model", tiny).out


def test_every_attachment_is_in_the_schema_of_info():
    assert SCHEMAS["info.json"]["properties"]["attachments"]["items"]["enum"] == [*attachments.NAMES]


def test_import_makes_a_folder_and_prints_it(run, tiny, tmp_path):
    assert run("import", tiny, "--output", tmp_path / "new").out == f"{tmp_path / 'new'}\n"
    assert run("info", "--model", tmp_path / "new").code == 0


def test_the_bounds_of_an_import_are_passed_on(run, monkeypatch):
    from xlmr.checkpoint import importing

    called = []
    monkeypatch.setattr(importing, "convert", lambda *arguments, **options: called.append((arguments, options)) or Path("new"))
    assert run("import", "a.bin", "-o", "b", "--memory", "0.5", "--timeout", "3").code == 0
    assert called == [((Path("a.bin"), Path("b")), {"bounds": importing.Bounds(500_000_000, 3)})]
