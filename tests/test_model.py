import pytest
from tuners import CLASSIFIER, EXTRACTOR, NAMES, TAGGER, TOPICS

import xlmr
from xlmr.encoder import Encoder
from xlmr.errors import BadCheckpoint, BadInput


def test_every_name_of_the_front_door_is_there():
    assert all(getattr(xlmr, name) is not None for name in xlmr.__all__)
    assert dir(xlmr) == sorted(xlmr.__all__)
    with pytest.raises(AttributeError, match="no attribute 'fill_mask'"):
        xlmr.fill_mask  # noqa: B018


def test_a_model_is_an_encoder_with_a_line_for_each_task(tiny):
    model = xlmr.load(tiny, threads=1)
    assert isinstance(model, xlmr.Model)
    assert isinstance(model, Encoder)
    assert [type(filling) for filling in model.fill_mask("the cat <mask>", top=2)] == [xlmr.Filling] * 2
    assert model.tokenizer.encode("the cat").ids[0] == 0
    assert xlmr.Model.fill_mask.__doc__


def test_a_fine_tuned_model_has_a_line_for_its_task(tuned):
    (label, *_) = xlmr.load(tuned(CLASSIFIER, TOPICS), threads=1).classify("the cat")
    assert isinstance(label, xlmr.Label)
    tagger = xlmr.load(tuned(TAGGER, NAMES), threads=1)
    assert isinstance(tagger.tag("the cat"), xlmr.Tagging)
    assert isinstance(tagger.tag_words([["the", "cat"]])[0], xlmr.Tagging)
    assert isinstance(xlmr.load(tuned(EXTRACTOR), threads=1).answer("where?", "the cat in the house"), xlmr.Answer)


def test_a_model_that_is_not_there_or_cannot_run_so_is_refused(tiny, tmp_path):
    with pytest.raises(BadCheckpoint, match="not found"):
        xlmr.load(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="only a model from the hub has revisions"):
        xlmr.load(tiny, revision="main")


def test_a_checkpoint_without_a_head_says_so(make_checkpoint):
    model = xlmr.load(make_checkpoint(head=False), threads=1)
    with pytest.raises(BadCheckpoint, match="head"):
        model.fill_mask("the cat <mask>")


def test_a_wrong_name_is_seen_by_a_type_checker(tmp_path):
    api = pytest.importorskip("mypy.api")
    (tmp_path / "wrong.py").write_text("import xlmr\nxlmr.load\nxlmr.laod\n")
    options = ["--config-file=", "--follow-imports=skip", "--cache-dir", str(tmp_path)]
    told, _, _ = api.run([*options, str(tmp_path / "wrong.py"), xlmr.__file__])
    assert [line for line in told.splitlines() if "laod" in line]
    assert not [line for line in told.splitlines() if '"load"' in line and "laod" not in line]
