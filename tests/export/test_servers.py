"""Folders that servers load as they are."""

from pathlib import Path

import numpy as np
import pytest
from test_export import exported
from test_export_onnx import answered

import xlmr
from xlmr import checkpoint
from xlmr.errors import BadInput
from xlmr.export import parity
from xlmr.export.onnx import DATA, GRAPH

TEXTS = ["one two", "drei vier fünf", "шесть"]


@pytest.mark.parametrize("layout", ["beside", "external", "single"])
def test_a_model_of_tritons_repository(layout: str, tiny: Path, tmp_path: Path) -> None:
    exported("onnx", tiny, tmp_path / "tiny", server="triton", layout=layout)
    version = {path.name for path in (tmp_path / "tiny" / "1").iterdir()}
    assert version == {GRAPH, *({"beside": ["model.safetensors"], "external": [DATA]}.get(layout, []))}
    assert {"config.pbtxt", "tokenizer.json", "config.json"} <= {path.name for path in (tmp_path / "tiny").iterdir()}
    assert [path.name for path in (tmp_path / "tiny").iterdir() if path.is_dir()] == ["1"]
    opened = checkpoint.open(tiny)
    ids = parity.questions(opened.config)[1]
    (logits,) = answered(tmp_path / "tiny" / "1" / GRAPH, ids, opened.config.pad_id)
    assert logits.shape == (*ids.shape, opened.config.vocabulary)


def test_tritons_config_is_one(tiny: Path, tmp_path: Path) -> None:
    """By Triton's own definition of the format."""
    schema = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    from google.protobuf import text_format

    exported("onnx", tiny, tmp_path / "tiny", server="triton")
    found = text_format.Parse((tmp_path / "tiny" / "config.pbtxt").read_text(encoding="utf-8"), schema.ModelConfig())
    assert found.backend == "onnxruntime"
    assert [(of.name, of.data_type, [*of.dims]) for of in found.input] == [
        ("input_ids", schema.TYPE_INT64, [-1]), ("attention_mask", schema.TYPE_INT64, [-1]),
    ]  # fmt: skip
    assert [(of.name, of.data_type, [*of.dims]) for of in found.output] == [
        ("logits", schema.TYPE_FP32, [-1, checkpoint.open(tiny).config.vocabulary])
    ]


@pytest.mark.parametrize("target", ["onnx", "safetensors"])
def test_sentence_transformers_and_we_make_the_same_vectors_of_it(target: str, tiny: Path, tmp_path: Path) -> None:
    theirs = pytest.importorskip("sentence_transformers")
    exported(target, tiny, tmp_path / "out", server="tei", task="feature-extraction")
    wanted = theirs.SentenceTransformer(str(tmp_path / "out"), device="cpu").encode(TEXTS)
    found = xlmr.load(tmp_path / "out").embed(TEXTS)
    assert np.abs(found - wanted).max() <= 1e-5
    assert np.allclose(np.linalg.norm(found, axis=1), 1)


def test_vectors_are_not_made_with_a_head(tiny: Path, tmp_path: Path) -> None:
    for target in ("onnx", "safetensors"):
        with pytest.raises(BadInput, match="ask for --task feature-extraction"):
            exported(target, tiny, tmp_path / "out", server="tei")
    with pytest.raises(BadInput, match="in place nothing but the graph is written"):
        exported("onnx", tiny, None, server="triton", layout="in-place")
    assert not [*tmp_path.iterdir()]


def test_tensorflow_serving_finds_a_version(tiny: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    found = exported("tensorflow", tiny, tmp_path / "out", server="tf-serving", task="fill-mask")
    assert {"1/saved_model.pb", "tokenizer.json", "config.json"} <= {*found.files}
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()] == ["1"]
