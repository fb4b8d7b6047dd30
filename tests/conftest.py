"""What many tests share: a tiny random checkpoint, and a maker of others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

from xlmr import checkpoint, tensors
from xlmr.config import Config

settings.register_profile("xlmr", deadline=None)  # a busy machine is no failure
settings.load_profile("xlmr")

TINY = Config(vocabulary=500, width=32, layers=2, heads=4, inner=64, positions=66)

TEXT = """
the of and a in is to cat dog house water book child city good big small one two three reads drinks sleeps capital
le la les de et un une est dans chat chien maison eau livre enfant ville bon grand petit lit boit dort capitale
der die das und ein eine ist Katze Hund Haus Wasser Buch Kind Stadt gut groß klein liest trinkt schläft
el los y es en gato perro casa agua libro niño ciudad bueno lee bebe duerme
кошка собака дом вода книга город и в на большой читает пьёт спит
γάτα σκύλος σπίτι νερό βιβλίο πόλη και το η
خانه آب کتاب گربه سگ شهر است و در
بيت ماء كتاب قطة كلب مدينة في من
בית מים ספר חתול כלב עיר של
घर पानी किताब बिल्ली कुत्ता शहर है का
บ้าน น้ำ หนังสือ แมว หมา เมือง
집 물 책 고양이 개 도시
家 水 书 猫 狗 城市 大 小 书籍 本 犬 都市 の は
nhà nước sách mèo chó thành phố là và
ev su kitap kedi köpek şehir ve bir nyumba maji kitabu paka mbwa mji na ya
"""
SUFFIXES = ["s", "es", "ing", "ed", "er", "en", "ung", "tion", "ment", "lar", "ler", "ها", "ات", "ами", "ов", "ни"]
CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?;:'\"()-–’“”¿¡،؟。、"


def unigram(size: int = TINY.vocabulary) -> Tokenizer:
    """A unigram tokenizer of `size` pieces in XLM-R's layout of ids, without a normalisation table: words, their letters, fillers."""
    words = list(dict.fromkeys("▁" + word for word in TEXT.split())) + SUFFIXES
    letters = sorted({letter for word in TEXT.split() for letter in word} | set(CHARACTERS) | {"▁"})
    pieces = [(word, -5.0 - rank / 100) for rank, word in enumerate(words)]
    pieces += [(letter, -12.0 - rank / 100) for rank, letter in enumerate(letters) if letter not in words]
    room = size - 5
    assert room >= len(pieces), f"{len(pieces)} pieces do not fit {room}"
    pieces += [(f"▁{rank:04}", -20.0) for rank in range(room - len(pieces))]
    special = {name: i for i, name in enumerate(("<s>", "<pad>", "</s>", "<unk>"))} | {"<mask>": size - 1}
    first = [(name, 0.0) for name in special if name != "<mask>"]
    tokenizer = Tokenizer(models.Unigram([*first, *pieces, ("<mask>", 0.0)], unk_id=3, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace("▁", "always")])
    tokenizer.decoder = decoders.Metaspace("▁", "always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([AddedToken(name, lstrip=name == "<mask>", normalized=False) for name in special])
    assert {name: tokenizer.token_to_id(name) for name in special} == special
    return tokenizer


def random_weights(config: Config, seed: int = 0, *, head: bool = True) -> dict[str, np.ndarray]:
    """Weights under which every tensor matters: nothing is zero or one, and logits are some units apart."""
    dice = np.random.default_rng(seed)
    table = [*tensors.encoder(config), *(tensors.mlm_head(config) if head else ())]
    drawn = {tensor.name: dice.standard_normal(tensor.shape(config), np.float32) for tensor in table}
    for name, values in drawn.items():
        if name.endswith("norm.weight"):
            drawn[name] = 1 + 0.2 * values
        elif values.ndim == 1:
            drawn[name] = 0.2 * values
        else:
            drawn[name] = values / np.float32(config.width) ** np.float32(0.5)
    return drawn


@pytest.fixture(scope="session")
def make_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`make_checkpoint(config, seed=0, head=True, dtype="float32")`: the folder of a random checkpoint."""

    def make(config: Config = TINY, seed: int = 0, *, head: bool = True, dtype: str = "float32") -> Path:
        folder = tmp_path_factory.mktemp("checkpoint")
        tokenizer = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
        unigram(max(config.vocabulary, TINY.vocabulary)).save(str(tokenizer))
        checkpoint.save(folder, config, random_weights(config, seed, head=head), tokenizer=tokenizer, dtype=dtype)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny(make_checkpoint: Callable[..., Path]) -> Path:
    """The folder of a tiny random checkpoint: 2 layers, width 32, 4 heads, 66 positions, 500 pieces of many languages. Read it only."""
    return make_checkpoint()


@pytest.fixture(scope="session")
def speaking(make_checkpoint: Callable[..., Path]) -> Path:
    """The folder of a tiny random checkpoint beside whose weights lies a classifier of eight languages. Read it only."""
    from speakers import fitted

    return fitted(make_checkpoint())


@pytest.fixture(scope="session")
def tuned(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`tuned(architecture, labels=(), seed=0, …)`: the folder of the tiny checkpoint with a random head (`tuners.head`). Read it only."""
    import tuners

    made: dict[str, Path] = {}

    def make(*arguments: Any, **more: Any) -> Path:
        key = repr((arguments, more))
        if key not in made:
            made[key] = tuners.tuned(
                tiny, tmp_path_factory.mktemp("tuned") / "model", tuners.head(arguments[0], TINY.width, *arguments[1:], **more)
            )
        return made[key]

    return make
