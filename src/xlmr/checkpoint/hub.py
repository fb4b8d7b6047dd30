"""A model of the Hugging Face hub, fetched into the hub's own cache: the files that are read of a model, and nothing else.

Where the cache lies, which server is asked, with whose token, and whether at all, is up to the variables of huggingface_hub:
`HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from xlmr import config as configs
from xlmr.checkpoint import attachments, sentences, shards
from xlmr.checkpoint.folder import CONFIG, HISTORY, INSTEAD, QUANTIZED, TOKENIZER, WEIGHTS, without_weights
from xlmr.errors import BadCheckpoint, NotAvailable, XlmrError
from xlmr.tokenizer import SENTENCEPIECE

FILES = (CONFIG, TOKENIZER, WEIGHTS)


def fetch(name: str, revision: str | None = None) -> Path:
    """The folder with the files of a hub id, fetched if they are not there yet.

    A commit that is in the cache is taken from there. A branch or tag (`main` unless told) is looked up on the hub first, and taken
    from the cache as it was last seen where the hub cannot be reached or `HF_HUB_OFFLINE` is set. All files are of one commit. A
    connection that breaks off is taken up again where it was; a file is in the cache whole or not at all.

    Raises NotAvailable where it cannot be had; BadCheckpoint where the hub's files are not those of a checkpoint, OtherArchitecture
    where they are another model's: both before the weights are fetched.
    """
    where = f"{name} ({revision})" if revision else name
    try:
        with _quiet():
            config = Path(hf_hub_download(name, CONFIG, revision=revision))
            commit = config.parent.name
            configs.read(config)
            if not _first(name, commit, (TOKENIZER, SENTENCEPIECE)):
                raise BadCheckpoint(f"{where}: the hub has no {TOKENIZER} of it, nor {SENTENCEPIECE}; a checkpoint has {', '.join(FILES)}")
            _beside(name, commit)
            _weights(name, commit)
    except XlmrError:
        raise
    except RemoteEntryNotFoundError as error:
        raise BadCheckpoint(f"{where}: the hub has no {_file(error)} of it; a checkpoint has {', '.join(FILES)}") from None
    except Exception as error:  # the library's own, its HTTP client's and the system's, other ones in each version
        raise NotAvailable(f"{where}: {_reason(error, name, revision)}") from error
    return config.parent


def _first(name: str, commit: str, files: tuple[str, ...]) -> str | None:
    """The first of some files that there is, fetched; one that is in the cache comes before one that is not."""
    for file in files:
        if _cached(name, file, commit) is True:
            return file
    return next((file for file in files if _optional(name, commit, file)), None)


def _beside(name: str, commit: str) -> None:
    """What may lie beside the weights: sentence-transformers' list of modules, what that names and the settings; attachments; a history."""
    whole = any(_cached(name, file, commit) for file in (WEIGHTS, shards.INDEX, QUANTIZED))
    try:
        if listed := _optional(name, commit, sentences.MODULES):
            for file in (*sentences.SETTINGS, *sentences.needed(listed)):
                _optional(name, commit, file)
        for file in (*(f"{attachment}{attachments.SUFFIX}" for attachment in attachments.NAMES), HISTORY):
            _optional(name, commit, file)
    except LocalEntryNotFoundError:
        if not whole:  # a cache that others have filled holds what they needed; asked again when the hub is in reach
            raise


def _weights(name: str, commit: str) -> None:
    """One file of weights or the index of several and what it names, once that is known to be sound."""
    found = _first(name, commit, (WEIGHTS, shards.INDEX, QUANTIZED))
    if found is None:
        raise without_weights(name, [file for file in INSTEAD if HfApi().file_exists(name, file, revision=commit)])
    if found == shards.INDEX:
        index = Path(hf_hub_download(name, shards.INDEX, revision=commit))
        for shard in dict.fromkeys(shards.parse(index).values()):
            hf_hub_download(name, shard, revision=commit)


def _optional(name: str, commit: str, file: str) -> Path | None:
    """A file that a model may have, fetched; None where the hub has none. Raises LocalEntryNotFoundError where that cannot be known."""
    if _cached(name, file, commit) is False:
        return None
    try:
        return Path(hf_hub_download(name, file, revision=commit))
    except RemoteEntryNotFoundError:
        return None


def _cached(name: str, file: str, commit: str) -> bool | None:
    """Whether a file is in the cache; None where it is not, and the cache does not know either that the hub has none."""
    found = try_to_load_from_cache(name, file, revision=commit)
    return None if found is None else isinstance(found, str)


@contextmanager
def _quiet() -> Iterator[None]:
    """The library logs each time it tries again; what went wrong in the end is raised, and need not be logged too."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _file(error: RemoteEntryNotFoundError) -> str:
    return str(error.response.request.url).rpartition("/")[2]


def _reason(error: Exception, name: str, revision: str | None) -> str:
    """What went wrong and what to do about it."""
    if isinstance(error, GatedRepoError):
        return "its owner gives it to those who ask; accept the conditions on its page, then log in with `hf auth login`"
    if isinstance(error, RepositoryNotFoundError):
        return "there is no such folder, and no such model on the hub, or a private one. Check the name, or log in with `hf auth login`"
    if isinstance(error, RevisionNotFoundError):
        return "the model is on the hub, this revision is not; wanted a branch, tag or commit"
    if isinstance(error, LocalEntryNotFoundError) and constants.is_offline_mode():
        return (
            f"not in the cache at {constants.HF_HUB_CACHE}, and HF_HUB_OFFLINE forbids to fetch it. "
            f"Where there is a network, run: xlmr info --model {name}{f' --revision {revision}' if revision else ''}. Or name a folder"
        )
    refused = next((one for one in (error, error.__cause__) if isinstance(one, HfHubHTTPError)), None)
    if refused is not None:
        return (
            f"{constants.ENDPOINT} answers with status {refused.response.status_code}. Try again later, log in with `hf auth login` "
            f"if it wants to know who asks, or name a folder"
        )
    if isinstance(error, LocalEntryNotFoundError):
        return (
            f"not in the cache at {constants.HF_HUB_CACHE}, and {constants.ENDPOINT} is out of reach. Check the network, or name a folder"
        )
    return f"cannot be fetched ({type(error).__name__}: {str(error).partition(chr(10))[0]})"
