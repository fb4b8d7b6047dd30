"""A model for PyTorch: `model.pt2`, which runs without its source, and `model.pt`, weights by Hugging Face's names (extra: train)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlmr import checkpoint
from xlmr.checkpoint import Checkpoint
from xlmr.checkpoint.folder import WEIGHTS
from xlmr.config import Config
from xlmr.errors import MissingExtra
from xlmr.export import safetensors
from xlmr.export.answers import Task

try:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F

    from xlmr.runtimes.torch import Encoder
except ImportError:
    raise MissingExtra("train", "exporting to PyTorch") from None

if TYPE_CHECKING:
    from xlmr.export import Options

PROGRAM = "run_pytorch"
WEIGHTS_FILE, PROGRAM_FILE = "model.pt", "model.pt2"


def write(of: Checkpoint, task: Task, folder: Path, options: Options) -> None:
    """Hugging Face's folder, and both files beside it."""
    from safetensors.torch import load_file

    safetensors.write(of, task, folder, options)
    opened = checkpoint.open(folder)
    torch.save(load_file(folder / WEIGHTS), folder / WEIGHTS_FILE)
    model = Model(opened, task).eval()
    ids = torch.full((2, 4), opened.config.eos_id)
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    program = torch.export.export(model, (ids, torch.ones_like(ids)), dynamic_shapes=(sizes, sizes), strict=False)
    torch.export.save(program, folder / PROGRAM_FILE)


class Model(nn.Module):
    """An encoder on padded batches, and the head of a task: what is traced."""

    def __init__(self, of: Checkpoint, task: Task) -> None:
        super().__init__()
        self.encoder = Encoder(of.config, head=task.name == "fill-mask")
        read = safetensors.Reading(of, masks=task.name == "fill-mask", head=True)
        held = {name: torch.from_numpy(read[name].copy()) for name in read}
        self.encoder.load_state_dict({name: values for name, values in held.items() if not name.startswith("task.")})
        self.task = nn.ParameterDict(
            {name.removeprefix("task.").replace(".", "_"): v for name, v in held.items() if name.startswith("task.")}
        )
        self.answer = task

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """The task's outputs."""
        states = self.states(input_ids, attention_mask)
        return dict(zip(self.answer.outputs, self.head(states), strict=True))

    def states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The last layer's, `[batch, sequence, width]`."""
        config = self.encoder.config
        real = (ids != config.pad_id).long()
        x = self.encoder.embeddings(ids, real.cumsum(1) * real + config.pad_id)
        seen = (mask != 0)[:, None, None, :]
        for layer in self.encoder.layers:
            x = _block(layer, x, seen, config)
        return x

    def head(self, states: Tensor) -> list[Tensor]:
        """The outputs, in their order."""
        match self.answer.name:
            case "feature-extraction":
                return [states]
            case "fill-mask":
                return [self.encoder.logits(states)]
            case "text-classification":
                return [self._linear("out", torch.tanh(self._linear("dense", states[:, 0])))]
            case "token-classification":
                return [self._linear("out", states)]
            case _:
                return [*self._linear("out", states).unbind(-1)]

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.task[f"{name}_weight"], self.task[f"{name}_bias"])


def _block(layer: Any, x: Tensor, seen: Tensor, config: Config) -> Tensor:
    """A layer on a padded batch, by the parts of `runtimes.torch.Layer`."""
    query, key, value = (part(x).unflatten(-1, (config.heads, -1)).transpose(1, 2) for part in (layer.query, layer.key, layer.value))
    read = F.scaled_dot_product_attention(query, key, value, attn_mask=seen).transpose(1, 2).flatten(2)
    x = layer.attention_norm(x + layer.attention_out(read))
    normed: Tensor = layer.output_norm(x + layer.shrink(F.gelu(layer.grow(x))))
    return normed
