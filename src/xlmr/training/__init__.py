"""Learning: vocabulary, masked language modelling, alignment (extra: train)."""

from xlmr.errors import MissingExtra

try:
    import accelerate  # noqa: F401
    import sentencepiece  # noqa: F401
    import torch  # noqa: F401
except Exception as error:
    raise MissingExtra.of("train", "training", error) from error
