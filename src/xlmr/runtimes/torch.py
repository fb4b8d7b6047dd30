"""The encoder as a PyTorch module, and its runtime (extra: train).

Sequences are packed: the linear layers see one row a token and no padding; attention pads within buckets of like length.
Parameters have the names of `xlmr.tensors`, so `state_dict` and a checkpoint's weights are the same mapping.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xlmr.config import Config
from xlmr.errors import BadCheckpoint, MissingExtra
from xlmr.runtimes import depth

try:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F
    from torch.utils.checkpoint import checkpoint as checkpoint_of
except Exception as error:
    raise MissingExtra.of("train", "the PyTorch runtime", error) from error

if TYPE_CHECKING:
    from xlmr.checkpoint import Checkpoint

BUCKET_WASTE = 0.2
"""Padding a bucket may have: rows join one while at least this share less one of its places are tokens."""


def start(checkpoint: Checkpoint, *, threads: int | None = None) -> TorchRuntime:
    """The checkpoint, ready to run, on the GPU where there is one. `threads` sets PyTorch's for the whole process."""
    if threads is not None:
        torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return TorchRuntime(load(checkpoint).to(device).eval())


class TorchRuntime:
    """A `Runtime` around the module."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    @torch.inference_mode()
    def hidden_states(self, ids: np.ndarray, layers: Sequence[int] = (-1,)) -> list[np.ndarray]:
        """States after the asked layers; see `Runtime`."""
        states, order = self._states(ids, layers)
        return [_unpack(of, order, ids.shape) for of in states]

    @torch.inference_mode()
    def mlm_logits(self, ids: np.ndarray, picks: np.ndarray) -> np.ndarray:
        """Logits at the picked places; see `Runtime`."""
        if self.encoder.head is None:
            raise BadCheckpoint("the checkpoint has no masked-language-model head (lm_head.*), so it cannot fill masks")
        (last,), order = self._states(ids, (-1,))
        flat = np.empty(ids.size, np.int64)
        flat[order] = np.arange(len(order))
        chosen = flat[picks[:, 0] * ids.shape[1] + picks[:, 1]]
        logits: np.ndarray = self.encoder.logits(last[torch.from_numpy(chosen).to(last.device)]).float().cpu().numpy()
        return logits

    def _states(self, ids: np.ndarray, layers: Sequence[int]) -> tuple[list[Tensor], np.ndarray]:
        """States of the real tokens `[tokens, width]`, and where each lies in the flattened `ids`."""
        config = self.encoder.config
        real = ids != config.pad_id
        rows = [ids[i][real[i]] for i in range(len(ids))]
        packed, order = pack(rows, config)
        flat = np.flatnonzero(real)  # row by row
        begins = np.concatenate([[0], np.cumsum(real.sum(1))])
        places = [flat[begins[row] : begins[row + 1]] for row in order]
        device = next(self.encoder.parameters()).device
        states = self.encoder(packed.to(device), layers)
        return states, np.concatenate(places) if places else flat


def load(checkpoint: Checkpoint) -> Encoder:
    """The module with the checkpoint's weights, in float32."""
    from xlmr.checkpoint import weights

    return build(checkpoint.config, weights(checkpoint), head=checkpoint.has_mlm_head)


def build(config: Config, weights: Mapping[str, np.ndarray] | None = None, *, head: bool = True) -> Encoder:
    """A module of these sizes, with these weights or, without any, random ones from torch's generator."""
    encoder = Encoder(config, head=head)
    if weights is None:
        encoder.apply(lambda module: _initialise(module, config.init_std))
    else:
        encoder.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(of)) for name, of in weights.items()})
    return encoder


def export(encoder: Encoder) -> dict[str, np.ndarray]:
    """The module's weights by our names, float32, as `checkpoint.save` takes them."""
    return {name: of.detach().float().cpu().numpy() for name, of in encoder.state_dict().items()}


# -- packing --


@dataclass(frozen=True, slots=True)
class Bucket:
    """Rows of like length, for attention. Their tokens lie together, one bucket after another."""

    size: int
    """Tokens."""
    places: Tensor | None
    """int64 `[rows x longest]`: which of the bucket's tokens is at each place; at padding, any. None where none is padded."""
    real: Tensor | None
    """bool `[rows, 1, 1, longest]`, False at padding; None where there is none."""
    tokens: Tensor | None
    """int64 `[tokens]`: where the real tokens lie in `places`; None where none is padded."""
    rows: int


@dataclass(frozen=True, slots=True)
class Packed:
    """Sequences laid end to end, shortest first."""

    ids: Tensor
    """int64 `[tokens]`."""
    positions: Tensor
    """int64 `[tokens]`, RoBERTa's: they count from `pad_id + 1`."""
    row: Tensor
    """int64 `[tokens]`: which sequence, in packed order."""
    rows: int
    buckets: tuple[Bucket, ...]

    def to(self, device: torch.device) -> Packed:
        """The same on another device."""
        if device.type == "cpu":
            return self

        def move(x: Tensor) -> Tensor:
            return x.to(device, non_blocking=True)

        def move_any(x: Tensor | None) -> Tensor | None:
            return None if x is None else move(x)

        buckets = tuple(Bucket(b.size, move_any(b.places), move_any(b.real), move_any(b.tokens), b.rows) for b in self.buckets)
        return Packed(move(self.ids), move(self.positions), move(self.row), self.rows, buckets)


def pack(sequences: Sequence[np.ndarray], config: Config) -> tuple[Packed, np.ndarray]:
    """Sequences without padding, packed; and the order in which they lie: `order[i]` is the index of packed row i."""
    lengths = np.array([len(ids) for ids in sequences], np.int64)
    order = np.argsort(lengths, kind="stable")
    lengths = lengths[order]
    begins = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.concatenate([sequences[i] for i in order]).astype(np.int64) if len(order) else np.empty(0, np.int64)
    row = np.repeat(np.arange(len(order)), lengths)
    positions = np.arange(len(ids)) - begins[row] + config.pad_id + 1
    buckets = tuple(_bucket(lengths[first:last]) for first, last in _spans(lengths))
    return Packed(torch.from_numpy(ids), torch.from_numpy(positions), torch.from_numpy(row), len(order), buckets), order


def _spans(lengths: np.ndarray) -> list[tuple[int, int]]:
    """Runs of rows (sorted by length) that may share a bucket."""
    spans, first, tokens = [], int(np.searchsorted(lengths, 1)), 0  # rows without tokens attend to nothing
    for i in range(first, len(lengths)):
        tokens += int(lengths[i])
        if (i + 1 - first) * lengths[i] * (1 - BUCKET_WASTE) > tokens:
            spans.append((first, i))
            first, tokens = i, int(lengths[i])
    return [*spans, (first, len(lengths))] if first < len(lengths) else spans


def _bucket(lengths: np.ndarray) -> Bucket:
    """A bucket of rows of these lengths, shortest first."""
    longest, size, rows = int(lengths[-1]), int(lengths.sum()), len(lengths)
    if longest == lengths[0]:
        return Bucket(size, None, None, None, rows)
    real = np.arange(longest) < lengths[:, None]
    places = (np.cumsum(lengths) - lengths)[:, None] + np.arange(longest) * real
    tokens = torch.from_numpy(np.flatnonzero(real))
    return Bucket(size, torch.from_numpy(places.ravel()), torch.from_numpy(real[:, None, None, :]), tokens, rows)


def _unpack(states: Tensor, places: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    padded = np.zeros((shape[0] * shape[1], states.shape[-1]), np.float32)
    padded[places] = states.float().cpu().numpy()
    return padded.reshape(*shape, -1)


# -- the module --


class Encoder(nn.Module):
    """XLM-RoBERTa (Conneau et al. 2020): RoBERTa's layers (Liu et al. 2019), normalised after each sub-layer."""

    def __init__(self, config: Config, *, head: bool = True) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.head = Head(config) if head else None
        self.checkpointing = False
        """Whether training works a layer out again for its gradient, instead of keeping what it made (Chen et al. 2016)."""

    def forward(self, packed: Packed, layers: Sequence[int] = (-1,)) -> list[Tensor]:
        """States `[tokens, width]` after each asked layer; 0 is the embeddings, -1 the last. Stops after the highest.

        Raises BadInput for a layer there is not.
        """
        asked = [depth(layer, self.config) for layer in layers]
        states = [self.embeddings(packed.ids, packed.positions)]
        for layer in self.layers[: max(asked, default=0)]:
            if self.checkpointing and self.training:
                states.append(checkpoint_of(layer, states[-1], packed.buckets, use_reentrant=False))
            else:
                states.append(layer(states[-1], packed.buckets))
        return [states[i] for i in asked]

    def logits(self, states: Tensor) -> Tensor:
        """A score for every piece, `[picks, vocabulary]`, from the last layer's states `[picks, width]`."""
        matrix, bias = self.output_table()
        return F.linear(self.transform(states), matrix, bias)

    def transform(self, states: Tensor) -> Tensor:
        """The head before its matrix: `[picks, width]` to `[picks, width]`."""
        if self.head is None:
            raise BadCheckpoint("the checkpoint has no masked-language-model head (lm_head.*), so it cannot fill masks")
        transformed: Tensor = self.head(states)
        return transformed

    def output_table(self) -> tuple[Tensor, Tensor]:
        """The head's matrix `[vocabulary, width]` and bias `[vocabulary]`."""
        assert self.head is not None
        words = self.embeddings.words if self.config.tied else self.head.words
        return words.weight, self.head.bias


class Embeddings(nn.Module):
    """Piece, position and type, added and normalised."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.words = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Embedding(config.positions, config.width)
        self.types = nn.Embedding(config.types, config.width)
        self.norm = nn.LayerNorm(config.width, config.norm_epsilon)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        """`[tokens]` to `[tokens, width]`."""
        x = self.words(ids) + self.positions(positions) + self.types.weight[0]
        dropped: Tensor = self.dropout(self.norm(x))
        return dropped


class Layer(nn.Module):
    """Attention, then a feed-forward network, each added to its input and normalised."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.attention_dropout = config.attention_dropout
        width, inner = config.width, config.inner
        self.query, self.key, self.value = (nn.Linear(width, config.attended) for _ in range(3))
        self.attention_out = nn.Linear(config.attended, width)
        self.attention_norm = nn.LayerNorm(width, config.norm_epsilon)
        self.grow = nn.Linear(width, inner)
        self.shrink = nn.Linear(inner, width)
        self.output_norm = nn.LayerNorm(width, config.norm_epsilon)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, buckets: Sequence[Bucket]) -> Tensor:
        """`[tokens, width]` to `[tokens, width]`."""
        x = self.attention_norm(x + self.dropout(self.attention_out(self.attend(x, buckets))))
        normed: Tensor = self.output_norm(x + self.dropout(self.shrink(F.gelu(self.grow(x)))))
        return normed

    def attend(self, x: Tensor, buckets: Sequence[Bucket]) -> Tensor:
        """What each token reads from the tokens of its own sequence, `[tokens, heads x head width]`."""
        qkv = self._qkv(x)
        inside = qkv.split([bucket.size for bucket in buckets])
        read = [self._attend_bucket(of, bucket) for of, bucket in zip(inside, buckets, strict=True)]
        return (
            torch.cat(read) if read else qkv[:, : qkv.shape[1] // 3]
        )  # of no tokens too every weight has a gradient, which processes wait for

    def _qkv(self, x: Tensor) -> Tensor:
        """Query, key and value side by side, `[tokens, 3 x heads x head width]`: in one product, unless one has become more than a
        matrix."""
        parts = (self.query, self.key, self.value)
        if any(type(part) is not nn.Linear for part in parts):  # an adapter
            return torch.cat([part(x) for part in parts], -1)
        return F.linear(x, torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts]))

    def _attend_bucket(self, qkv: Tensor, bucket: Bucket) -> Tensor:
        padded = qkv if bucket.places is None else qkv.index_select(0, bucket.places)
        shaped = padded.view(bucket.rows, -1, 3, self.heads, qkv.shape[-1] // 3 // self.heads)
        query, key, value = shaped.permute(2, 0, 3, 1, 4)  # rows heads longest head_width
        dropout = self.attention_dropout if self.training else 0.0
        out = attention_of(query)(query, key, value, attn_mask=bucket.real, dropout_p=dropout)
        out = out.transpose(1, 2).reshape(-1, qkv.shape[-1] // 3)
        return out if bucket.tokens is None else out.index_select(0, bucket.tokens)


def attention_of(query: Tensor) -> Callable[..., Tensor]:
    """PyTorch's own attention, but on a processor in bfloat16, where going back through that takes as long as all else together."""
    slow = query.device.type == "cpu" and query.dtype == torch.bfloat16
    return _attention if slow else F.scaled_dot_product_attention


def _attention(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, dropout_p: float) -> Tensor:
    """The same in products: softmax(QK^T / sqrt(size)) V (Vaswani et al. 2017, section 3.2.1), the softmax in float32."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf)
    shares = F.dropout(scores.softmax(-1, dtype=torch.float32).to(value.dtype), dropout_p)
    return shares @ value


class Head(nn.Module):
    """The masked-language-model head: transform, normalise, compare with every piece."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.transform = nn.Linear(config.width, config.width)
        self.norm = nn.LayerNorm(config.width, config.norm_epsilon)
        self.bias = nn.Parameter(torch.zeros(config.vocabulary))
        if not config.tied:
            self.words = nn.Embedding(config.vocabulary, config.width)

    def forward(self, states: Tensor) -> Tensor:
        """`[picks, width]` to `[picks, width]`."""
        normed: Tensor = self.norm(F.gelu(self.transform(states)))
        return normed


def _initialise(module: nn.Module, std: float) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=std)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
