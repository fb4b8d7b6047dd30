"""The encoder in ONNX Runtime, on the processor: light, and the default."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime as ort
from onnx import ModelProto

from xlmr.checkpoint.integers import Quantized
from xlmr.errors import BadCheckpoint
from xlmr.runtimes import depth, onnx_graph

if TYPE_CHECKING:
    from xlmr.checkpoint import Checkpoint, Stored

QUIET = 4  # what goes wrong is raised, and need not be logged too
SETTINGS = {
    # Threads that wait look for work this long before they sleep. Small batches need it; the default, some milliseconds, is as fast
    # on an idle machine and half as fast where others compute. An ONNX Runtime that does not know the setting keeps its default.
    "session.intra_op.spin_duration_us": "50",
}
VNNI = ("avx512_vnni", "avx_vnni")
LARGE = 4_096
"""Places, padding among them, from which on a batch hands its working memory back. After a smaller one it is kept for the next."""


def start(checkpoint: Checkpoint, *, threads: int | None = None) -> OnnxRuntime:
    """The checkpoint, ready to run. Weights are read with the first question, and only those it needs."""
    return OnnxRuntime(checkpoint, threads or _allowed())


class OnnxRuntime:
    """A `Runtime` of a few sessions: the head, and the encoder, cut after the layers that were asked for.

    So a lower layer costs no work above it, and no weight is held twice.
    """

    def __init__(self, checkpoint: Checkpoint, threads: int) -> None:
        self._checkpoint = checkpoint
        self._config = checkpoint.config
        self._files = list({held.file: held for held in checkpoint.stored.values()}.values())  # one tensor of each
        self._threads = threads
        self._spans: dict[range, ort.InferenceSession] = {}
        self._lock = Lock()

    def hidden_states(self, ids: np.ndarray, layers: Sequence[int] = (-1,)) -> list[np.ndarray]:
        """States after the asked layers; see `Runtime`."""
        depths = [depth(layer, self._config) for layer in layers]
        real = np.flatnonzero(ids != self._config.pad_id)
        states = self._states(ids, sorted(set(depths)), real)
        return [_padded(states[at], real, ids.shape) for at in depths]

    def mlm_logits(self, ids: np.ndarray, picks: np.ndarray) -> np.ndarray:
        """Logits at the picked places; see `Runtime`. Raises BadCheckpoint where the checkpoint has no head."""
        with self._lock:  # threads may share a model, and a cached property builds once for each that asks at the same time
            head = self._head
        last = self._config.layers
        states = self._states(ids, [last], picks[:, 0] * ids.shape[1] + picks[:, 1])[last]
        logits: np.ndarray = head.run(None, {"states": states})[0]
        return logits

    def _states(self, ids: np.ndarray, depths: Sequence[int], picks: np.ndarray) -> dict[int, np.ndarray]:
        """States after layers, lowest first: `[real tokens, width]` each, but after the last at the picks, `[picks, width]`."""
        if not len(picks) or not depths:
            return dict.fromkeys(depths, np.empty((0, self._config.width), np.float32))
        states, feed = {}, {"ids": ids}
        for at, session in self._sessions(depths):
            feed["picks"] = picks if at == depths[-1] else np.flatnonzero(ids != self._config.pad_id)
            (states[at],) = session.run(None, feed, _handing_back() if ids.size >= LARGE else None)
            feed["below"] = states[at]
        return states

    def _sessions(self, depths: Sequence[int]) -> list[tuple[int, ort.InferenceSession]]:
        """The sessions to run, one after another, to come by these depths; and the depth each comes to."""
        with self._lock:
            cuts = sorted({span[-1] for span in self._spans}.union(depths))
            spans = [range(below + 1, cut + 1) for below, cut in pairwise([-1, *cuts])]
            self._spans = {span: session for span, session in self._spans.items() if span in spans}
            needed = [span for span in spans if span[-1] <= depths[-1]]
            for span in needed:
                if span not in self._spans:
                    self._spans[span] = self._session(onnx_graph.encoder(self._config, self._checkpoint.stored, span))
            return [(span[-1], self._spans[span]) for span in needed]

    @cached_property
    def _head(self) -> ort.InferenceSession:
        if not self._checkpoint.has_mlm_head:
            raise BadCheckpoint(f"{self._checkpoint.folder}: has no masked-language-model head (lm_head.*), so it cannot fill masks")
        return self._session(onnx_graph.mlm_head(self._config, self._checkpoint.stored), keep=False)

    @cached_property
    def _words(self) -> ort.OrtValue | None:
        """The word embeddings, mapped into memory once for all sessions; each would map them for itself."""
        held = self._checkpoint.stored[onnx_graph.WORDS]
        if held.dtype not in ("float32", "int8"):
            return None  # the head has a copy, in float32
        kind = np.float32 if held.dtype == "float32" else np.uint8
        return ort.OrtValue.ortvalue_from_numpy(np.memmap(held.file, kind, "r", held.offset, held.shape))

    def _session(self, graph: ModelProto, *, keep: bool = True) -> ort.InferenceSession:
        """A graph, started. `keep` keeps its working memory for the next run: many small pieces, not a few large ones as logits are."""
        options = ort.SessionOptions()
        options.log_severity_level = QUIET
        options.intra_op_num_threads = self._threads
        options.enable_cpu_mem_arena = keep
        options.enable_mem_pattern = False  # it keeps a plan, and the most memory one ever took, for each shape it has seen
        where = str(onnx_graph.folder(self._checkpoint.stored))  # in the hub's cache it is not the checkpoint's
        self._check()
        try:
            for key, value in {
                **SETTINGS,
                **exact(self._checkpoint.stored),
                "session.model_external_initializers_file_folder_path": where,
            }.items():
                options.add_session_config_entry(key, value)
            if self._words is not None:
                options.add_initializer(onnx_graph.WORDS, self._words)
            session = ort.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own have no common class
            raise BadCheckpoint(f"{self._checkpoint.folder}: ONNX Runtime {ort.__version__} cannot start it ({error})") from error
        self._check()  # a file exchanged meanwhile would be half of another model
        return session

    def _check(self) -> None:
        for held in self._files:
            held.check()


def _padded(states: np.ndarray, real: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """`[real tokens, width]` to `[batch, tokens, width]`, zeros at padding."""
    padded = np.zeros((shape[0] * shape[1], states.shape[-1]), np.float32)
    padded[real] = states
    return padded.reshape(*shape, -1)


def _handing_back() -> ort.RunOptions:
    options = ort.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def exact(stored: Mapping[str, Stored]) -> dict[str, str]:
    """Settings that make sums of int8 products right: without VNNI's instructions the fast ones of x86 cut them off at 16 bits."""
    whole = any(isinstance(held, Quantized) and held.layout == "columns" for held in stored.values())
    return {"session.x64quantprecision": "1"} if whole and not _sums_whole() else {}


@cache
def _sums_whole() -> bool:
    """Whether the processor is known to add products of 8 bits in 32: one of x86 that Linux says has VNNI, or any of another kind."""
    if platform.machine().lower() not in ("x86_64", "amd64", "i386", "i686"):
        return True
    try:
        said = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    flags = next((line for line in said.splitlines() if line.startswith("flags")), "").split()
    return any(flag in flags for flag in VNNI)


def _allowed() -> int:
    """How many processors this process may use where it may not use all; else 0, ONNX Runtime's own choice: it does not see such limits."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    return allowed if allowed != os.cpu_count() else 0
