import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from transformers import XLMRobertaConfig
from transformers.models.xlm_roberta.modeling_xlm_roberta import XLMRobertaClassificationHead

from xlmr.errors import BadCheckpoint
from xlmr.heads import classes

LOGITS = arrays(np.float32, st.tuples(st.integers(0, 4), st.integers(1, 5)), elements=st.floats(-1e4, 1e4, width=32))


@pytest.mark.parametrize("labels", [1, 3])
def test_logits_are_those_of_transformers(labels):
    torch.manual_seed(0)
    head = XLMRobertaClassificationHead(XLMRobertaConfig(hidden_size=16, num_labels=labels)).eval()
    weights = {name.replace("out_proj", "out"): values.detach().numpy() for name, values in head.named_parameters()}
    states = np.random.default_rng(0).standard_normal((5, 16)).astype(np.float32)
    theirs = head(torch.from_numpy(states)[:, None]).detach().numpy()
    assert classes.logits(weights, states) == pytest.approx(theirs, abs=1e-6)
    assert classes.logits(weights, states[:0]).shape == (0, labels)
    assert classes.logits(weights, states).dtype == np.float32


def test_a_linear_head_is_one_layer():
    dice = np.random.default_rng(1)
    weights = {"out.weight": dice.standard_normal((2, 4)), "out.bias": dice.standard_normal(2)}
    states = dice.standard_normal((3, 4))
    wanted = [[sum(row * x) + bias for row, bias in zip(weights["out.weight"], weights["out.bias"], strict=True)] for x in states]
    assert classes.linear(weights, states) == pytest.approx(np.array(wanted))


@given(LOGITS)
def test_probabilities_are_those_of_torch_however_large_the_logits(logits):
    theirs = {classes.SINGLE: torch.softmax(torch.from_numpy(logits), -1), classes.MULTI: torch.sigmoid(torch.from_numpy(logits))}
    for problem, wanted in theirs.items():
        found = classes.probabilities(logits, problem)
        assert found == pytest.approx(wanted.numpy(), rel=1e-5, abs=1e-37)
        assert found.dtype == np.float32
    assert np.array_equal(classes.probabilities(logits, classes.REGRESSION), logits)


@given(LOGITS)
def test_one_of_the_labels_it_is(logits):
    assert np.allclose(classes.softmax(logits).sum(-1), 1)
    assert np.allclose(classes.softmax(logits.astype(float)), classes.softmax(logits.astype(float) + 5.5))


def test_a_problem_that_is_not_known_is_named():
    with pytest.raises(BadCheckpoint, match=r"problem_type is 'ranking', wanted one of: single_label_classification, multi_label_"):
        classes.probabilities(np.zeros((1, 2)), "ranking")


def test_what_config_json_does_not_say_is_settled_by_the_number_of_labels():
    assert classes.settled("", 3) == classes.SINGLE
    assert classes.settled("", 1) == classes.MULTI
    assert classes.settled("regression", 1) == classes.REGRESSION
