"""Tagging of words: names, parts of speech; by each word's own state, or by a linear-chain CRF over all of a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from xlmr.checkpoint.attachments import Attachment
from xlmr.config import Config
from xlmr.evaluation import scoring
from xlmr.evaluation.reports import Scored
from xlmr.examples import Tagged
from xlmr.heads.crf import Crf
from xlmr.heads.pieces import Word
from xlmr.tasks import contexts, taggers, tagging
from xlmr.tasks.contexts import Window
from xlmr.tokenizer import Tokenizer
from xlmr.training.finetuning import lessons
from xlmr.training.finetuning.chains import Chain
from xlmr.training.finetuning.lessons import Given, Lengths, Row


@dataclass(frozen=True, slots=True)
class Goal:
    """The words of a row: which tokens each is made of, and its tag."""

    tokens: np.ndarray
    """int64 `[parts]`: a token of the row …"""
    words: np.ndarray
    """… which word it is a part of, counted in the row …"""
    shares: np.ndarray
    """… and how much of the word's state is its state, float32 `[parts]`; those of a word sum to 1."""
    tags: np.ndarray
    """int64 `[words]`."""


class Head(nn.Module):
    """A linear layer, Hugging Face's, and perhaps a CRF after it."""

    def __init__(self, width: int, labels: int, dropout: float, chain: bool) -> None:
        super().__init__()
        self.out = nn.Linear(width, labels)
        self.dropout = nn.Dropout(dropout)
        self.chain = Chain(labels) if chain else None

    def forward(self, states: Tensor) -> Tensor:
        """Emissions: `[words, width]` to `[words, labels]`, float32."""
        found: Tensor = self.out(self.dropout(states))
        return found.float()


class Tagging:
    """The `Lesson` of words with tags."""

    architecture = "XLMRobertaForTokenClassification"
    problem = ""

    def __init__(
        self, tokenizer: Tokenizer, lengths: Lengths, labels: Sequence[str], *, words: str = taggers.FIRST, chain: bool = False
    ) -> None:
        """`words` says whose state a word's is: its first piece's or the mean of them; `chain` learns a CRF."""
        self.tokenizer, self.lengths, self.labels, self.words, self.chain = tokenizer, lengths, tuple(labels), words, chain
        self._index = {label: i for i, label in enumerate(self.labels)}

    def head(self, config: Config, dropout: float) -> Head:
        """A new head."""
        head = Head(config.width, len(self.labels), dropout, self.chain)
        lessons.initialise(head, config.init_std)
        return head

    def rows(self, examples: Sequence[Tagged], *, served: bool = False) -> list[Row[Goal]]:
        """A row for each sentence; one longer than the model reads has one for each of the windows in which the model reads it too."""
        room = (self.lengths.served if served else self.lengths.learnt) - 2
        return lessons.each(examples, lambda number, of: self._rows(number, of, room))

    def _rows(self, example: int, of: Tagged, room: int) -> Iterator[Row[Goal]]:
        encoding, words = tagging.encode_words(self.tokenizer, of.words)
        tags = np.array([self._index[tag] for tag in of.tags], np.int64)
        begins = _begins(words)
        first, *ids, last = encoding.ids
        for window in contexts.windows(len(ids), room):
            last_word = len(words) if window.last == len(ids) else int(np.searchsorted(begins, window.last))
            if part := range(int(np.searchsorted(begins, window.first)), last_word):
                goal = self._goal([words[i] for i in part], window, tags[part.start : part.stop])
                yield Row(np.array([first, *ids[window.begin : window.end], last], np.int64), example, goal, float(len(part)))

    def _goal(self, words: Sequence[Word], window: Window, tags: np.ndarray) -> Goal:
        tokens, of, shares = list[int](), list[int](), list[float]()
        for number, word in enumerate(words):
            held = [(piece, share) for piece, share in zip(word.pieces, word.shares, strict=True) if window.begin <= piece < window.end]
            held = [(held[0][0], 1.0)] if held and self.words == taggers.FIRST else held
            total = sum(share for _, share in held)
            tokens += [piece - window.begin + 1 for piece, _ in held]
            of += [number] * len(held)
            shares += [share / total for _, share in held]
        return Goal(np.array(tokens, np.int64), np.array(of, np.int64), np.array(shares, np.float32), tags)

    def loss(self, head: nn.Module, states: Tensor, given: Given[Goal]) -> Tensor:
        """Minus the log-likelihood of the tags, summed over words; a CRF takes the words of a row for a sentence."""
        assert isinstance(head, Head)
        emissions = head(_pooled(states, given))
        tags = torch.from_numpy(np.concatenate([goal.tags for goal in given.goals])).to(emissions.device)
        if head.chain is None:
            return F.cross_entropy(emissions, tags, reduction="sum")
        counts = [len(goal.tags) for goal in given.goals]
        padded, wanted = (pad_sequence(of.split(counts), batch_first=True) for of in (emissions, tags))
        loss: Tensor = head.chain(padded, wanted, torch.tensor(counts, device=tags.device))
        return loss

    def predict(self, head: nn.Module, states: Tensor, given: Given[Goal]) -> list[np.ndarray]:
        """The emissions of each row's words, float32 `[words, labels]`."""
        emissions: np.ndarray = head(_pooled(states, given)).cpu().numpy()
        return np.split(emissions, np.cumsum([len(goal.tags) for goal in given.goals])[:-1])

    def join(
        self, head: nn.Module, examples: Sequence[Tagged], rows: Sequence[Row[Goal]], predicted: Sequence[np.ndarray]
    ) -> list[list[str]]:
        """The likeliest tags of each sentence, as a whole."""
        assert isinstance(head, Head)
        held: list[list[np.ndarray]] = [[] for _ in examples]
        for row, emissions in zip(rows, predicted, strict=True):
            held[row.example].append(emissions)
        tagger = taggers.tagger(self.labels, self.weights(head), self.words, _numpy(head.chain))
        field = tagger.field
        return [[self.labels[i] for i in tagging.likeliest(field, np.concatenate(of), tagger.allowed)] for of in held]

    def score(self, examples: Sequence[Tagged], predictions: Sequence[Sequence[str]]) -> Scored:
        """F1 of spans; of other tags accuracy."""
        return scoring.tags(examples, predictions, self.labels)

    def collapsed(self, examples: Sequence[Tagged], predictions: Sequence[Sequence[str]]) -> str | None:
        """What to say where every word is given the same tag, and should not be."""
        said = {tag for tags in predictions for tag in tags}
        wanted = {tag for of in examples for tag in of.tags}
        return f"every word is tagged {said.pop()!r}" if len(said) == 1 < len(wanted) else None

    def weights(self, head: nn.Module) -> dict[str, np.ndarray]:
        """By the names of `tensors`."""
        return lessons.exported(head, ("out.weight", "out.bias"))

    def attachments(self, head: nn.Module) -> Mapping[str, Attachment]:
        """Whose state a word's is, and the CRF."""
        assert isinstance(head, Head)
        return {taggers.NAME: taggers.pack(self.words, _numpy(head.chain))}


def _numpy(chain: Chain | None) -> Crf | None:
    """A CRF as it decodes."""
    if chain is None:
        return None
    return Crf(*(of.detach().float().cpu().numpy() for of in (chain.transitions, chain.start, chain.end)))


def _begins(words: Sequence[Word]) -> np.ndarray:
    """The first piece of each word, int64 `[words]`, in order; of a word without pieces that of the one before."""
    return np.maximum.accumulate([word.pieces[0] if word.pieces else 0 for word in words])


def _pooled(states: Tensor, given: Given[Goal]) -> Tensor:
    """The state of each word, `[words, width]`; zeros where a word has no piece."""
    counts = np.cumsum([0, *(len(goal.tags) for goal in given.goals)])
    begins = np.cumsum([0, *given.lengths])
    tokens, words, shares = (
        torch.from_numpy(np.concatenate(of)).to(states.device)
        for of in (
            [goal.tokens + begin for goal, begin in zip(given.goals, begins, strict=False)],
            [goal.words + first for goal, first in zip(given.goals, counts, strict=False)],
            [goal.shares for goal in given.goals],
        )
    )
    pooled = states.new_zeros(int(counts[-1]), states.shape[-1])
    return pooled.index_add(0, words, states.index_select(0, tokens) * shares[:, None].to(states.dtype))
