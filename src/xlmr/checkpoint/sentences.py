"""What sentence-transformers keeps beside a model: how a text's vector is made of its tokens' states.

`modules.json` lists the modules and their folders; each folder has a `config.json`, a dense layer's also its weights. Nothing named there
is imported: a type is looked up in a table, and one that is not in it becomes an `Unknown` step, which leaves the rest of the model usable.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from os.path import lexists
from pathlib import Path
from reprlib import repr as shorten
from typing import Any

import numpy as np

from xlmr import files
from xlmr.checkpoint import floats, folder, header
from xlmr.checkpoint.shards import PLAIN
from xlmr.config import Config
from xlmr.errors import BadCheckpoint
from xlmr.heads import vectors
from xlmr.heads.vectors import ACTIVATIONS, POOLS, Dense, Normalize, Pooling, Recipe, Step, Unknown

MODULES = "modules.json"
PROMPTS = "config_sentence_transformers.json"
LIMITS = "sentence_bert_config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
SETTINGS = (PROMPTS, LIMITS, TOKENIZER_CONFIG)
LARGEST = 1 << 20
"""Bytes in one of these files."""
MOST_MODULES = 32
LONGEST_PROMPT = 10_000
"""Characters."""
OWN = "sentence_transformers."
FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""How older versions name the modes, in the order in which several stand beside each other."""
TAKEN: Mapping[str, tuple[Any, ...]] = {
    "do_lower_case": (False, None),
    "transformer_task": ("feature-extraction",),
    "modality_config": ({"text": {"method": "forward", "method_output_name": "last_hidden_state"}},),
    "module_output_name": ("token_embeddings",),
    **dict.fromkeys(("processing_kwargs", "processor_kwargs", "tokenizer_args", "config_kwargs", "config_args"), ({}, None)),
}
"""Settings with the values under which states are the model's and texts are taken as they are."""


def read(place: Path, config: Config) -> Recipe:
    """How the model in a folder makes vectors of texts: what its files say, or, without a `modules.json`, the mean of the last states.

    Raises BadCheckpoint where the files are broken or contradict each other or the config.
    """
    if not lexists(place / MODULES):  # a link to nothing is a broken model, not one without such files
        return Recipe()
    listed = modules(place / MODULES)
    if [kind for kind, _ in listed[:2]] != ["Transformer", "Pooling"] or listed[0][1]:
        found = ", ".join(f"{files.shown(kind)} in {path!r}" for kind, path in listed[:2])
        return Recipe(steps=(Unknown(f"{place / MODULES}: begins with {found}, wanted Transformer in '' and Pooling"),))
    steps = tuple(_step(place, kind, path) for kind, path in listed[1:])
    settings, limits = _object(place / PROMPTS), _object(place / LIMITS)
    if refused := [key for key, allowed in TAKEN.items() if key in limits and limits[key] not in allowed]:
        steps = (Unknown(f"{place / LIMITS}: {refused[0]} is {shorten(limits[refused[0]])}"), *steps)
    where = str(place / PROMPTS)
    default, size = settings.get("default_prompt_name"), settings.get("truncate_dim")
    if default is not None:
        files.typed(default, str, f"{where}: default_prompt_name")
    if size is not None and files.typed(size, int, f"{where}: truncate_dim") < 1:
        raise BadCheckpoint(f"{where}: truncate_dim is {size}, wanted at least 1")
    prompts, longest = _prompts(settings.get("prompts") or {}, where), _longest(place, config)
    try:
        recipe = Recipe(steps=steps, prompts=prompts, default_prompt=default, longest=longest, size=size)
        vectors.width(recipe, config.width)
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{place}: {error}") from None
    return recipe


def copy(place: Path, config: Config, to: Path) -> None:
    """Copy the files by which the model in a folder makes vectors of texts, if there are any, and all that they say is known."""
    if not (place / MODULES).is_file() or any(isinstance(step, Unknown) for step in read(place, config).steps):
        return
    for path in files_of(place):
        name = path.relative_to(place)
        (to / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(files.locate(path, place), to / name)


def files_of(place: Path) -> list[Path]:
    """Those files, where there are any."""
    if not (place / MODULES).is_file():
        return []
    return [place / name for name in (MODULES, *SETTINGS, *needed(place / MODULES)) if (place / name).is_file()]


def modules(path: Path) -> list[tuple[str, str]]:
    """The kind of each module of a `modules.json`, sentence-transformers' own by its last name, and its folder, '' for the model's own."""
    listed = files.typed(files.read_json(path, LARGEST), list, str(path))
    if not 0 < len(listed) <= MOST_MODULES:
        raise BadCheckpoint(f"{path}: lists {len(listed)} modules, wanted 1 to {MOST_MODULES}")
    found = []
    for number, entry in enumerate(listed):
        where = f"{path}: module {number}"
        kind = files.typed(files.typed(entry, dict, where).get("type"), str, f"{where}: type")
        place = files.typed(entry.get("path"), str, f"{where}: path")
        if place and not PLAIN.fullmatch(place):
            raise BadCheckpoint(f"{where}: its path is {place[:200]!r}, wanted the plain name of a folder inside the model's")
        found.append((kind.rpartition(".")[2] if kind.startswith(OWN) else kind, place))
    return found


def needed(path: Path) -> list[str]:
    """The files that a `modules.json` makes needed or possible, relative to its folder."""
    return [f"{place}/{name}" for kind, place in modules(path) if place for name in FILES.get(kind, ())]


def _step(place: Path, kind: str, path: str) -> Step:
    if kind not in STEPS:
        return Unknown(f"{place / MODULES}: lists a module of type {files.shown(kind)!r}")
    return STEPS[kind](place / path, place)


def _pooling(path: Path, place: Path) -> Step:
    where = path / folder.CONFIG
    raw = files.read_object(where, LARGEST, place)
    modes = raw.get("pooling_mode")
    if modes is None:
        modes = [mode for flag, mode in FLAGS.items() if raw.get(flag)] or ["mean"]
    modes = [modes] if isinstance(modes, str) else files.typed(modes, list, f"{where}: pooling_mode")
    if not modes or len(modes) > len(POOLS):
        raise BadCheckpoint(f"{where}: has {len(modes)} modes of pooling, wanted 1 to {len(POOLS)}")
    unknown = [mode for mode in modes if files.typed(mode, str, f"{where}: pooling_mode") not in POOLS]
    if unknown:
        return Unknown(f"{where}: pooling_mode is {files.shown(unknown[0])!r}")
    return Pooling(tuple(modes), files.typed(raw.get("include_prompt", True), bool, f"{where}: include_prompt"))


def _dense(path: Path, place: Path) -> Step:
    where = path / folder.CONFIG
    raw = files.read_object(where, LARGEST, place)
    name = files.typed(raw.get("activation_function", "torch.nn.modules.activation.Tanh"), str, f"{where}: activation_function")
    activation = name.rpartition(".")[2] if name.startswith("torch.nn.") else name
    if activation not in ACTIVATIONS:
        return Unknown(f"{where}: activation_function is {files.shown(name)!r}")
    if other := _elsewhere(raw):
        return Unknown(f"{where}: {other}")
    weights = path / folder.WEIGHTS
    if not weights.is_file():
        return Unknown(f"{weights}: not found (and a pickle is not opened)")
    sizes = tuple(files.typed(raw.get(key), int, f"{where}: {key}") for key in ("out_features", "in_features"))
    residual = files.typed(raw.get("use_residual", False), bool, f"{where}: use_residual")
    wanted = {"linear.weight": sizes}
    if files.typed(raw.get("bias", True), bool, f"{where}: bias"):
        wanted["linear.bias"] = sizes[:1]
    if residual and sizes[0] != sizes[1]:
        wanted["residual.weight"] = sizes
    held = _tensors(weights, place, wanted)
    return Dense(held["linear.weight"], held.get("linear.bias"), activation, residual, held.get("residual.weight"))


def _normalize(path: Path, place: Path) -> Step:
    where = path / folder.CONFIG
    other = _elsewhere(files.read_object(where, LARGEST, place)) if where.exists() else ""
    return Unknown(f"{where}: {other}") if other else Normalize()


STEPS: Mapping[str, Callable[[Path, Path], Step]] = {"Pooling": _pooling, "Dense": _dense, "Normalize": _normalize}
FILES: Mapping[str, tuple[str, ...]] = {
    "Pooling": (folder.CONFIG,),
    "Dense": (folder.CONFIG, folder.WEIGHTS),
    "Normalize": (folder.CONFIG,),
}


def _elsewhere(raw: Mapping[str, Any]) -> str:
    """What a module that reads or writes anything but the text's vector says of it; '' where it does not."""
    for key in ("module_input_name", "module_output_name"):
        if raw.get(key) not in (None, "sentence_embedding"):
            return f"{key} is {shorten(raw[key])}"
    return ""


def _tensors(path: Path, place: Path, wanted: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    stored = header.read(path, place)
    if stored.keys() != wanted.keys():
        raise BadCheckpoint(
            f"{path}: holds {', '.join(files.shown(name) for name in sorted(stored)[:5])}, wanted {', '.join(sorted(wanted))}"
        )
    for name, shape in wanted.items():
        if stored[name].shape != shape or stored[name].dtype not in floats.HELD:
            found = f"{stored[name].dtype} {stored[name].shape}"
            raise BadCheckpoint(f"{path}: {name} is {found}, wanted {shape} in one of {', '.join(floats.HELD)}")
    return {name: folder.numbers(of).reshape(of.shape) for name, of in stored.items()}


def _prompts(raw: object, where: str) -> dict[str, str]:
    prompts = files.typed(raw, dict, f"{where}: prompts")
    for name, text in prompts.items():
        if len(files.typed(text or "", str, f"{where}: the prompt {files.shown(name)!r}")) > LONGEST_PROMPT:
            raise BadCheckpoint(
                f"{where}: the prompt {files.shown(name)!r} has {len(text):,} characters, at most {LONGEST_PROMPT:,} are taken"
            )
    return {name: text or "" for name, text in prompts.items()}


def _longest(place: Path, config: Config) -> int:
    """Where a text is cut: `max_seq_length`, or else the tokenizer's, and never beyond what the model can take."""
    for file, key in ((LIMITS, "max_seq_length"), (TOKENIZER_CONFIG, "model_max_length")):
        found = _object(place / file).get(key)
        if found is None:
            continue
        if not isinstance(found, int | float) or isinstance(found, bool) or not found >= 3:
            raise BadCheckpoint(f"{place / file}: {key} is {shorten(found)}, wanted a number of at least 3: <s>, a piece and </s>")
        return int(min(found, config.longest))
    return config.longest


def _object(path: Path) -> dict[str, Any]:
    return files.read_object(path, LARGEST) if lexists(path) else {}
