"""The sizes of an XLM-R encoder, read from and written to Hugging Face's `config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from reprlib import repr as shorten
from typing import Any

from xlmr import files
from xlmr.errors import BadCheckpoint, OtherArchitecture
from xlmr.heads.classes import PROBLEMS

MODEL_TYPE = "xlm-roberta"
LARGEST_FILE = 1 << 23  # bytes; the labels of a head can be many

# Ours, Hugging Face's, type. Read in both directions.
KEYS: tuple[tuple[str, str, type], ...] = (
    ("vocabulary", "vocab_size", int),
    ("width", "hidden_size", int),
    ("layers", "num_hidden_layers", int),
    ("heads", "num_attention_heads", int),
    ("inner", "intermediate_size", int),
    ("positions", "max_position_embeddings", int),
    ("types", "type_vocab_size", int),
    ("pad_id", "pad_token_id", int),
    ("bos_id", "bos_token_id", int),
    ("eos_id", "eos_token_id", int),
    ("norm_epsilon", "layer_norm_eps", float),
    ("dropout", "hidden_dropout_prob", float),
    ("attention_dropout", "attention_probs_dropout_prob", float),
    ("init_std", "initializer_range", float),
    ("tied", "tie_word_embeddings", bool),
)

HEAD_WIDTH = "head_dim"
"""The key of a head's width in other models' configs, Llama's among them. For XLM-R transformers has none, and refuses the weights."""

# What Hugging Face's class takes for a key that is not there, where that is not xlm-roberta-base's.
ABSENT: Mapping[str, Any] = {"vocabulary": 30_522, "positions": 512, "types": 2, "norm_epsilon": 1e-12}

# Values under which the arithmetic is XLM-R's; anything else would be answered wrongly, so it is refused.
FIXED: Mapping[str, tuple[Any, ...]] = {
    "hidden_act": ("gelu",),
    "position_embedding_type": ("absolute", None),
    "is_decoder": (False, None),
    "add_cross_attention": (False, None),
    "quantization_config": (None,),
}

LIMITS = {
    "vocabulary": 4_000_000, "width": 65_536, "layers": 1_000, "heads": 1_024, "inner": 262_144,
    "positions": 1_048_576, "types": 16, "head_width": 65_536,
}  # fmt: skip
FRACTIONS = ("norm_epsilon", "dropout", "attention_dropout", "init_std")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The sizes of one encoder. The defaults are xlm-roberta-base's."""

    vocabulary: int = 250_002
    width: int = 768
    layers: int = 12
    heads: int = 12
    inner: int = 3_072
    head_dim: int | None = None
    """Numbers in one head's query, key or value, where heads were pruned; None where it is `width / heads`, as Hugging Face wants it."""
    positions: int = 514
    types: int = 1
    pad_id: int = 1
    bos_id: int = 0
    eos_id: int = 2
    norm_epsilon: float = 1e-5
    dropout: float = 0.1
    attention_dropout: float = 0.1
    init_std: float = 0.02
    tied: bool = True
    """Whether the MLM head's matrix is the word embeddings."""
    architectures: tuple[str, ...] = ("XLMRobertaForMaskedLM",)
    labels: tuple[str, ...] = field(default=())
    """Names of a fine-tuned head's classes, in the order of its outputs."""
    problem: str = ""
    """Of `heads.classes.PROBLEMS`: what a head for texts answers; empty where nothing says it."""

    def __post_init__(self) -> None:
        self._check_heads()
        for name, limit in LIMITS.items():
            if not 0 < getattr(self, name) <= limit:
                raise BadCheckpoint(f"config: {name} is {getattr(self, name)}, wanted 1 to {limit}")
        for name in FRACTIONS:
            if not 0 <= getattr(self, name) < 1:
                raise BadCheckpoint(f"config: {name} is {getattr(self, name)}, wanted 0 to below 1")
        for name in ("bos_id", "eos_id"):
            if not 0 <= getattr(self, name) < self.vocabulary:
                raise BadCheckpoint(f"config: {name} is {getattr(self, name)}, wanted below vocabulary {self.vocabulary}")
        if self.problem not in ("", *PROBLEMS):
            raise BadCheckpoint(f"config: problem_type is {shorten(self.problem)}, wanted one of {', '.join(PROBLEMS)}")
        if not 0 <= self.pad_id < min(self.vocabulary, self.positions - 1):
            raise BadCheckpoint(
                f"config: pad_id is {self.pad_id}, wanted below vocabulary {self.vocabulary} and positions {self.positions}"
            )

    def _check_heads(self) -> None:
        if self.head_dim is not None and self.heads * self.head_dim == self.width:
            object.__setattr__(self, "head_dim", None)  # what is not said and what is said for nothing are the same config
        if self.head_dim is None and self.heads > 0 and self.width % self.heads:
            raise BadCheckpoint(f"config: width {self.width} is not a multiple of heads {self.heads}")

    @property
    def head_width(self) -> int:
        """Numbers in one head's query, key or value."""
        return self.width // self.heads if self.head_dim is None else self.head_dim

    @property
    def attended(self) -> int:
        """Numbers of all heads' queries side by side, and of keys and values: the width, unless heads were pruned."""
        return self.heads * self.head_width

    @property
    def longest(self) -> int:
        """Tokens a text may have, `<s>` and `</s>` among them. RoBERTa's positions begin after `pad_id`."""
        return self.positions - self.pad_id - 1


def read(path: Path) -> Config:
    """The config in a `config.json`.

    Raises BadCheckpoint where it is missing or not valid, OtherArchitecture where it is another model's.
    """
    return parse(files.read_json(path, LARGEST_FILE), str(path))


def parse(raw: object, where: str) -> Config:
    """The config in the decoded content of a `config.json`; `where` names it in errors."""
    if not isinstance(raw, Mapping):
        raise BadCheckpoint(f"{where}: found a {type(raw).__name__}, wanted a JSON object")
    found = raw.get("model_type")
    if found != MODEL_TYPE:
        raise OtherArchitecture(f"{where}: model_type is {shorten(found)}; xlmr runs {MODEL_TYPE!r} and no other architecture")
    for key, allowed in FIXED.items():
        if key in raw and raw[key] not in allowed:
            raise OtherArchitecture(f"{where}: {key} is {shorten(raw[key])}, XLM-R has {allowed[0]!r}")
    values = dict(ABSENT) | {ours: _typed(raw[theirs], kind, theirs, where) for ours, theirs, kind in KEYS if raw.get(theirs) is not None}
    if raw.get(HEAD_WIDTH) is not None:
        values["head_dim"] = _typed(raw[HEAD_WIDTH], int, HEAD_WIDTH, where)
    architectures, labels = _strings(raw, "architectures", where), _labels(raw, where)
    problem = _typed(raw.get("problem_type") or "", str, "problem_type", where)
    try:
        return Config(**values, architectures=architectures, labels=labels, problem=problem)
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{where}: {error}") from None


def dump(config: Config, dtype: str = "float32") -> dict[str, Any]:
    """The content of a `config.json` that Hugging Face's classes load, and refuse where heads were pruned."""
    raw: dict[str, Any] = {"model_type": MODEL_TYPE, "architectures": list(config.architectures), "hidden_act": "gelu"}
    raw |= {theirs: getattr(config, ours) for ours, theirs, _ in KEYS}
    if config.head_dim is not None:
        raw[HEAD_WIDTH] = config.head_dim
    if config.labels:
        raw["id2label"] = {str(i): label for i, label in enumerate(config.labels)}
        raw["label2id"] = {label: i for i, label in enumerate(config.labels)}
    if config.problem:
        raw["problem_type"] = config.problem
    return raw | {"dtype": dtype}


def _typed(value: object, kind: type, key: str, where: str) -> Any:
    fits = isinstance(value, kind) or (kind is float and isinstance(value, int))
    if not fits or (kind is not bool and isinstance(value, bool)):
        raise BadCheckpoint(f"{where}: {key} is {shorten(value)}, wanted {kind.__name__}")
    try:
        return kind(value)
    except OverflowError:
        raise BadCheckpoint(f"{where}: {key} is {shorten(value)}, which is too large") from None


def _strings(raw: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = raw.get(key) or ()
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise BadCheckpoint(f"{where}: {key} is {shorten(value)}, wanted a list of strings")
    return tuple(value)


def _label(label: object) -> str:
    """A label's name. Raises TypeError for a list or an object: it may hold others, deeper than can be written out."""
    if isinstance(label, list | dict):
        raise TypeError
    return str(label)


def _labels(raw: Mapping[str, Any], where: str) -> tuple[str, ...]:
    named = raw.get("id2label") or {}
    try:
        pairs = sorted((int(i), _label(label)) for i, label in named.items())
    except (AttributeError, TypeError, ValueError):
        raise BadCheckpoint(f"{where}: id2label is {shorten(named)}, wanted an object of numbers to names") from None
    if [i for i, _ in pairs] != list(range(len(pairs))):
        raise BadCheckpoint(f"{where}: id2label numbers its labels {shorten([i for i, _ in pairs])}, wanted 0 to {len(pairs) - 1}")
    return tuple(label for _, label in pairs)
