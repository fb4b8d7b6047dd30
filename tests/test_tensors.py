import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xlmr import config as configs
from xlmr import tensors
from xlmr.config import Config


@st.composite
def small_configs(draw: st.DrawFn) -> Config:
    heads = draw(st.integers(1, 3))
    return Config(
        vocabulary=draw(st.integers(4, 40)), width=heads * draw(st.integers(1, 5)), layers=draw(st.integers(1, 3)), heads=heads,
        inner=draw(st.integers(1, 30)), positions=draw(st.integers(4, 20)), types=draw(st.integers(1, 2)), tied=draw(st.booleans()),
    )  # fmt: skip


@settings(max_examples=15)
@given(small_configs())
def test_names_and_shapes_are_those_of_transformers(config: Config) -> None:
    transformers = pytest.importorskip("transformers")
    model = transformers.XLMRobertaForMaskedLM(transformers.XLMRobertaConfig.from_dict(configs.dump(config)))
    theirs = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    ours = {tensor.hf: tensor.shape(config) for tensor in [*tensors.encoder(config), *tensors.mlm_head(config)]}
    # There the head's bias has two names, and its matrix one of its own even where it is the embeddings.
    twice = {"lm_head.decoder.bias"} | ({"lm_head.decoder.weight"} if config.tied else set())
    assert ours == {name: shape for name, shape in theirs.items() if name not in twice}


@given(small_configs())
def test_names_are_unique(config: Config) -> None:
    table = [*tensors.encoder(config), *tensors.mlm_head(config)]
    assert len({tensor.name for tensor in table}) == len({tensor.hf for tensor in table}) == len(table)


@pytest.mark.parametrize(
    ("config", "published"),
    [(Config(), 277_450_752), (Config(width=1024, layers=24, heads=16, inner=4096), 558_837_760)],
    ids=["base", "large"],
)
def test_base_and_large_have_the_published_number_of_parameters(config: Config, published: int) -> None:
    never_used = 3 * config.width  # keras-hub, whose numbers these are, has no token types and not the two positions before the first
    assert sum(math.prod(tensor.shape(config)) for tensor in tensors.encoder(config)) == published + never_used
