"""A model of the Hugging Face hub, fetched into the hub's own cache: its config, tokenizer and weights, and nothing else.

Where the cache lies, which server is asked, with whose token, and whether at all, is up to the variables of huggingface_hub:
`HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from xlmr import config as configs
from xlmr.checkpoint.folder import CONFIG, PICKLES, SHARDED, TOKENIZER, WEIGHTS, without_weights
from xlmr.errors import BadCheckpoint, NotAvailable, XlmrError

FILES = (CONFIG, TOKENIZER, WEIGHTS)


def fetch(name: str, revision: str | None = None) -> Path:
    """The folder with the files of a hub id, fetched if they are not there yet.

    A commit that is in the cache is taken from there. A branch or tag (`main` unless told) is looked up on the hub first, and taken
    from the cache as it was last seen where the hub cannot be reached or `HF_HUB_OFFLINE` is set. All files are of one commit.

    Raises NotAvailable where it cannot be had; BadCheckpoint where the hub's files are not those of a checkpoint, OtherArchitecture
    where they are another model's: both before the weights are fetched.
    """
    where = f"{name} ({revision})" if revision else name
    try:
        with _quiet():
            config = Path(hf_hub_download(name, CONFIG, revision=revision))
            commit = config.parent.name
            configs.read(config)
            hf_hub_download(name, TOKENIZER, revision=commit)
            _weights(name, commit, config)
    except XlmrError:
        raise
    except RemoteEntryNotFoundError as error:
        raise BadCheckpoint(f"{where}: the hub has no {_file(error)} of it; a checkpoint has {', '.join(FILES)}") from None
    except Exception as error:  # the library's own, its HTTP client's and the system's, other ones in each version
        raise NotAvailable(f"{where}: {_reason(error, name)}") from error
    return config.parent


def _weights(name: str, commit: str, config: Path) -> None:
    try:
        hf_hub_download(name, WEIGHTS, revision=commit)
    except RemoteEntryNotFoundError:
        instead = [file for file in (SHARDED, *PICKLES) if HfApi().file_exists(name, file, revision=commit)]
        raise without_weights(name, instead, configs.read(config)) from None


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
    asked = str(error.response.request.url)
    return next((file for file in FILES if asked.endswith(file)), "file")


def _reason(error: Exception, name: str) -> str:
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
            f"Where there is a network, run: hf download {name} {' '.join(FILES)}. Or name a folder"
        )
    if isinstance(error, LocalEntryNotFoundError):
        return (
            f"not in the cache at {constants.HF_HUB_CACHE}, and {constants.ENDPOINT} is out of reach. Check the network, or name a folder"
        )
    return f"cannot be fetched ({type(error).__name__}: {error})"
