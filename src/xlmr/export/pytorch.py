"""A model for PyTorch: a folder of Hugging Face's, with `model.pt`, plain weights, and `model.pt2`, a program (extra: train)."""

from __future__ import annotations

from collections.abc import Callable
from errno import EIO
from pathlib import Path
from typing import Any

from xlmr import checkpoint, tensors
from xlmr.checkpoint import Checkpoint
from xlmr.checkpoint.folder import WEIGHTS
from xlmr.config import Config
from xlmr.errors import MissingExtra
from xlmr.export import answers, safetensors
from xlmr.export.answers import ENCODER, MASKS, Task
from xlmr.export.options import Options
from xlmr.export.parity import Asked, Made

try:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F

    from xlmr.runtimes.torch import Encoder
except Exception as error:
    raise MissingExtra.of("train", "exporting to PyTorch", error) from error

STATE, PROGRAM = "model.pt", "model.pt2"


def write(of: Checkpoint, folder: Path, options: Options) -> Made:
    """The folder, and both files in it. Weights are in memory as pages of the file that was written first, anew for each of them: what has
    been read once can go."""
    from safetensors.torch import load_file

    task = answers.find(of, options.task)
    safetensors.place(of, task, folder, "float32")
    ids = torch.full((2, 4), of.config.eos_id)
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    _written(torch.save, load_file(folder / WEIGHTS), folder / STATE)
    model = Model(checkpoint.open(folder), task, load_file(folder / WEIGHTS))
    program = torch.export.export(model, (ids, torch.ones_like(ids)), dynamic_shapes=(sizes, sizes), strict=False)
    _written(torch.export.save, program, folder / PROGRAM)
    return Made(folder, [Asked("run_pytorch", folder, PROGRAM, (task,))])


def _written(save: Callable[[Any, Path], object], content: object, path: Path) -> None:
    """Raises OSError where the disk refuses: PyTorch has another name for that."""
    try:
        save(content, path)
    except RuntimeError as error:
        raise OSError(EIO, f"PyTorch cannot write {path.name}: {str(error).splitlines()[0]}") from error


class Model(nn.Module):
    """An encoder on padded batches, and the head of a task: what is traced."""

    def __init__(self, of: Checkpoint, task: Task, held: dict[str, Tensor]) -> None:
        """`held`: the weights by Hugging Face's names, which it takes as they are, not copies."""
        super().__init__()
        with torch.device("meta"):
            self.encoder = Encoder(of.config, head=task == MASKS)
        wanted = [*tensors.encoder(of.config), *(tensors.mlm_head(of.config) if task == MASKS else ())]
        self.encoder.load_state_dict({tensor.name: held[tensor.hf] for tensor in wanted}, assign=True)
        head = tensors.task_head(task.architecture) if task not in (ENCODER, MASKS) else ()
        self.task = nn.ParameterDict({tensor.name.removeprefix("task.").replace(".", "_"): held[tensor.hf] for tensor in head})
        self.asked = task
        self.eval()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """The task's outputs."""
        states = self.states(input_ids, attention_mask)
        return dict(zip(self.asked.outputs, self.head(states), strict=True))

    def states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """The last layer's, `[batch, sequence, width]`."""
        config = self.encoder.config
        real = (ids != config.pad_id).long()
        x: Tensor = self.encoder.embeddings(ids, real.cumsum(1) * real + config.pad_id)
        seen = (mask != 0)[:, None, None, :]
        for layer in self.encoder.layers:
            x = _block(layer, x, seen, config)
        return x

    def head(self, states: Tensor) -> list[Tensor]:
        """The outputs, in their order."""
        match self.asked.name:
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
