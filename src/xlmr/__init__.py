"""The toolkit for XLM-RoBERTa.

>>> import xlmr
>>> model = xlmr.load()
>>> model.fill_mask("Paris est la <mask> de la France.")

What is listed here is promised; everything else may move. The model, its runtime and the tasks are imported when they are first used,
so `import xlmr` costs milliseconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from xlmr.errors import BadCheckpoint, BadInput, BadLine, BadRecipe, MissingExtra, NotAvailable, OtherArchitecture, XlmrError

if TYPE_CHECKING:
    from xlmr.model import Model, load
    from xlmr.tasks.alignment import Alignment, Pair
    from xlmr.tasks.answering import Answer
    from xlmr.tasks.classification import Label
    from xlmr.tasks.embeddings import Embedded, Parts, Place
    from xlmr.tasks.masks import Filling
    from xlmr.tasks.recognition import Language
    from xlmr.tasks.scoring import Score, Token
    from xlmr.tasks.spans import Span
    from xlmr.tasks.tagging import Entity, Tagging

__version__ = "0.1.0"

__all__ = [
    "Alignment",
    "Answer",
    "BadCheckpoint",
    "BadInput",
    "BadLine",
    "BadRecipe",
    "Embedded",
    "Entity",
    "Filling",
    "Label",
    "Language",
    "MissingExtra",
    "Model",
    "NotAvailable",
    "OtherArchitecture",
    "Pair",
    "Parts",
    "Place",
    "Score",
    "Span",
    "Tagging",
    "Token",
    "XlmrError",
    "__version__",
    "load",
]

LAZY = {
    "Alignment": "xlmr.tasks.alignment",
    "Answer": "xlmr.tasks.answering",
    "Embedded": "xlmr.tasks.embeddings",
    "Entity": "xlmr.tasks.tagging",
    "Filling": "xlmr.tasks.masks",
    "Label": "xlmr.tasks.classification",
    "Language": "xlmr.tasks.recognition",
    "Model": "xlmr.model",
    "Pair": "xlmr.tasks.alignment",
    "Parts": "xlmr.tasks.embeddings",
    "Place": "xlmr.tasks.embeddings",
    "Score": "xlmr.tasks.scoring",
    "Span": "xlmr.tasks.spans",
    "Tagging": "xlmr.tasks.tagging",
    "Token": "xlmr.tasks.scoring",
    "load": "xlmr.model",
}


if not TYPE_CHECKING:  # or a type checker would believe every name

    def __getattr__(name: str) -> Any:
        if name not in LAZY:
            raise AttributeError(f"module 'xlmr' has no attribute {name!r}")
        return getattr(import_module(LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
