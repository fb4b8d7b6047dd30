"""Every error xlmr raises on purpose, as one tree.

    XlmrError
    ├── BadInput            what was asked cannot be answered: no mask, empty text, too long, not text
    │   └── BadLine         the same, in a line of a file
    ├── BadCheckpoint       a model's files are missing, broken or contradict each other
    │   └── OtherArchitecture   they are whole, but of a model that is not XLM-RoBERTa
    ├── NotAvailable        a model or revision that is neither here nor can be fetched
    ├── BadRecipe           a recipe or training state that cannot be run
    ├── BadExport           an exported model that does not answer as the checkpoint does
    ├── BadCompression      a compressed model that answers too unlike the one it was made of
    └── MissingExtra        an optional package is not installed, or is and cannot be imported

A message says what, where, found, wanted and what to do. `kind` is the name a JSON answer carries.
"""

from __future__ import annotations

SHOWN = 200
"""Characters of another package's message that an error repeats."""


class XlmrError(Exception):
    """The root: catch this to catch everything xlmr raises on purpose."""

    @property
    def kind(self) -> str:
        """The class's name, as the JSON answers carry it."""
        return type(self).__name__


class BadInput(XlmrError, ValueError):
    """A text or an argument that cannot be answered."""


class BadLine(BadInput):
    """A line of an input file that cannot be read."""


class BadCheckpoint(XlmrError, ValueError):
    """A model's files are missing, broken or contradict each other."""


class OtherArchitecture(BadCheckpoint):
    """The checkpoint is of a model that is not XLM-RoBERTa."""


class NotAvailable(XlmrError, OSError):
    """A model that is neither on this machine nor can be fetched now."""


class BadRecipe(XlmrError, ValueError):
    """A recipe, or the state of an earlier run, that cannot be run."""


class BadExport(XlmrError, ValueError):
    """An exported model that does not answer as the checkpoint does, or not at all."""


class BadCompression(XlmrError, ValueError):
    """A compressed model whose answers agree with those of the model it was made of less than was wanted."""


class MissingExtra(XlmrError, ImportError):
    """An optional package is needed and not installed, or installed and broken: `reason` is what its import said then, else empty."""

    def __init__(self, extra: str, purpose: str, reason: str = "") -> None:
        what = f"packages that are there but cannot be imported ({reason})" if reason else "packages that are not installed"
        advice = "Mend that, or in a new environment run" if reason else "Run"
        super().__init__(f"{purpose} needs {what}. {advice}: pip install 'xlmr[{extra}]'")
        self.extra = extra
        self.purpose = purpose
        self.reason = reason

    @classmethod
    def of(cls, extra: str, purpose: str, error: Exception) -> MissingExtra:
        """By what an import raised: packages tell by all kinds of errors that a library or a version is not the one they need."""
        return cls(extra, purpose, _reason(error))

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str, str]]:
        """How it crosses to another process: by what it was made of, not by its message."""
        return MissingExtra, (self.extra, self.purpose, self.reason)


def _reason(error: Exception) -> str:
    """Why an import failed; empty where a package is not there at all. Where a part of one is missing, it is another version."""
    if isinstance(error, MissingExtra):
        return error.reason
    if isinstance(error, ModuleNotFoundError) and "." not in (error.name or "."):
        return ""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:SHOWN]}"
