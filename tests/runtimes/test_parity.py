"""Every runtime computes what transformers computes, and an answer depends on its own text alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import XLMRobertaForMaskedLM

from xlmr import checkpoint, runtimes
from xlmr.config import Config

CONFIG = Config(vocabulary=500, width=48, layers=3, heads=4, inner=96, positions=514)
CHECKPOINTS = {
    "tied": {},
    "untied": {"tied": False},
    "float16": {"dtype": "float16"},
    "bfloat16-untied": {"tied": False, "dtype": "bfloat16"},
}
LENGTHS = ([1], [512], [1, 512, 17, 2, 3], [40, 40, 40], [7, 0, 30], [512] * 9)


THREADS = {"onnx": 1, "torch": 1, "jax": 1, "tensorflow": None}
"""TensorFlow takes a number only before anything has run in the process."""


@pytest.fixture(scope="module", params=CHECKPOINTS)
def folder(request, make_checkpoint):
    options = dict(CHECKPOINTS[request.param])
    return make_checkpoint(replace(CONFIG, tied=options.pop("tied", True)), seed=len(request.param), **options)


@pytest.fixture(scope="module")
def oracle(folder):
    return XLMRobertaForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module", params=runtimes.NAMES)
def runtime(request, folder):
    return runtimes.start(checkpoint.open(folder), request.param, threads=THREADS[request.param])


def batch(lengths, seed=0, config=CONFIG):
    """Random ids; padding to the right."""
    dice = np.random.default_rng(seed)
    ids = np.full((len(lengths), max(lengths)), config.pad_id)
    for row, length in enumerate(lengths):
        ids[row, :length] = dice.integers(config.pad_id + 1, config.vocabulary, length)
    return ids


def expect(oracle, ids, pad_id=CONFIG.pad_id):
    """Hidden states of every layer, and logits, by transformers."""
    given = torch.from_numpy(ids)
    with torch.inference_mode():
        out = oracle(given, attention_mask=(given != pad_id).long(), output_hidden_states=True)
    return [states.numpy() for states in out.hidden_states], out.logits.numpy()


def everywhere(ids, pad_id=CONFIG.pad_id):
    return np.argwhere(ids != pad_id)


def close(ours, theirs, within=1e-4):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=within)


@pytest.mark.parametrize("lengths", LENGTHS, ids=lambda lengths: f"{len(lengths)}x{max(lengths)}")
def test_hidden_states_are_those_of_transformers(runtime, oracle, lengths):
    ids = batch(lengths)
    real = ids != CONFIG.pad_id
    theirs, _ = expect(oracle, ids)
    ours = runtime.hidden_states(ids, range(CONFIG.layers + 1))
    assert len(ours) == len(theirs) == CONFIG.layers + 1
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype == np.float32
        assert mine.shape == other.shape
        close(mine[real], other[real])


@pytest.mark.parametrize("lengths", LENGTHS, ids=lambda lengths: f"{len(lengths)}x{max(lengths)}")
def test_logits_are_those_of_transformers(runtime, oracle, lengths):
    ids = batch(lengths)
    picks = everywhere(ids)[:: 1 + ids.size // 200]
    _, theirs = expect(oracle, ids)
    wanted = theirs[tuple(picks.T)]
    assert wanted.std() > 0.5, "flat logits would hide differences"
    close(runtime.mlm_logits(ids, picks), wanted)


def test_every_length_is_right(runtime, oracle):
    """Positions count from 2 and attention ends where the text does, at whatever length."""
    lengths = [*range(1, 40), 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512]
    for length in lengths:
        ids = batch([length], seed=length)
        theirs, _ = expect(oracle, ids)
        close(runtime.hidden_states(ids)[0], theirs[-1])


def test_padding_changes_nothing(runtime):
    ids = batch([5, 9, 2])
    wider = np.pad(ids, ((0, 0), (0, 30)), constant_values=CONFIG.pad_id)
    picks = everywhere(ids)
    close(runtime.hidden_states(wider)[0][:, :9][ids != CONFIG.pad_id], runtime.hidden_states(ids)[0][ids != CONFIG.pad_id], 1e-5)
    close(runtime.mlm_logits(wider, picks), runtime.mlm_logits(ids, picks), 1e-5)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=12), st.integers(1, 60), st.data())
def test_batch_neighbours_change_nothing(runtime, neighbours, length, data):
    place = data.draw(st.integers(0, len(neighbours)))
    ids = batch([*neighbours[:place], length, *neighbours[place:]], seed=length)
    alone = ids[place : place + 1, :length]
    picks = np.stack([np.zeros(length, np.int64), np.arange(length)], 1)
    together = runtime.hidden_states(ids)[0][place, :length]
    close(together, runtime.hidden_states(alone)[0][0], 1e-5)
    close(runtime.mlm_logits(ids, picks + np.array([place, 0])), runtime.mlm_logits(alone, picks), 1e-5)


def test_padding_in_the_middle_is_padding_too(runtime, oracle):
    """Positions pass over it and attention does not see it, as in transformers."""
    ids = batch([20, 20])
    ids[0, 3:6] = ids[1, 0] = CONFIG.pad_id
    theirs, _ = expect(oracle, ids)
    real = ids != CONFIG.pad_id
    close(runtime.hidden_states(ids)[0][real], theirs[-1][real])


@pytest.mark.parametrize("name", runtimes.NAMES)
def test_padding_may_have_another_id(make_checkpoint, name):
    """Where positions begin moves with it."""
    config = replace(CONFIG, pad_id=7, positions=520)
    folder, ids = make_checkpoint(config), batch([20, 512, 3, 9], config=config)
    ids[0, 4:6] = config.pad_id
    theirs, logits = expect(XLMRobertaForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval(), ids, config.pad_id)
    runtime, picks = runtimes.start(checkpoint.open(folder), name, threads=THREADS[name]), everywhere(ids, config.pad_id)
    real = ids != config.pad_id
    for ours, wanted in zip(runtime.hidden_states(ids, range(config.layers + 1)), theirs, strict=True):
        close(ours[real], wanted[real])
    close(runtime.mlm_logits(ids, picks), logits[real])


def test_logits_at_picks_are_rows_of_all_logits(runtime):
    ids = batch([12, 5, 8])
    everything = everywhere(ids)
    logits = runtime.mlm_logits(ids, everything)
    some = np.random.default_rng(0).integers(0, len(everything), 9)  # in no order, some twice
    close(runtime.mlm_logits(ids, everything[some]), logits[some], 1e-5)


def test_no_picks_give_no_rows(runtime):
    assert runtime.mlm_logits(batch([4, 2]), np.empty((0, 2), np.int64)).shape == (0, CONFIG.vocabulary)


def test_layers_come_as_asked(runtime):
    ids = batch([6, 3])
    every = runtime.hidden_states(ids, [0, 1, 2, 3])
    for ours, layer in zip(runtime.hidden_states(ids, [3, 0, -2, 0, -1]), [3, 0, 2, 0, 3], strict=True):
        close(ours, every[layer], 1e-5)


def test_a_lower_layer_alone_has_the_same_states(folder, runtime):
    ids = batch([6, 3])
    every = runtime.hidden_states(ids, [0, 1, 2, 3])
    name = type(runtime).__module__.rpartition(".")[2]
    for layer in range(CONFIG.layers + 1):
        (alone,) = runtimes.start(checkpoint.open(folder), name, threads=THREADS[name]).hidden_states(ids, [layer])
        close(alone, every[layer], 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", runtimes.NAMES)
def test_a_model_of_xlmr_large_shape_gives_what_transformers_gives(make_checkpoint, name):
    config = Config(vocabulary=250_002, width=1_024, layers=24, heads=16, inner=4_096)
    folder = make_checkpoint(config)
    ids = batch([512, 40, 7, 1], config=config)
    picks = everywhere(ids)[::20]
    oracle = XLMRobertaForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        given = torch.from_numpy(ids)
        out = oracle.roberta(given, attention_mask=(given != config.pad_id).long(), output_hidden_states=True)
        logits = oracle.lm_head(out.last_hidden_state[tuple(picks.T)]).numpy()
    theirs = [states.numpy() for states in out.hidden_states]
    del oracle, out
    runtime = runtimes.start(checkpoint.open(folder), name)
    for ours, wanted in zip(runtime.hidden_states(ids, range(config.layers + 1)), theirs, strict=True):
        close(ours[ids != config.pad_id], wanted[ids != config.pad_id])
    close(runtime.mlm_logits(ids, picks), logits)
