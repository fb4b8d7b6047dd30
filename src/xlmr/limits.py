"""What may be asked at once. Held before any work is done for it, so that no input costs more than its answer is worth."""

from __future__ import annotations

from operator import index

from xlmr.errors import BadInput

CHARACTERS = 100_000
"""In one text. A model's own limit, in tokens, comes far below it; this one is seen without cutting the text into tokens."""
TOP = 1_000
"""Fillings of one text."""
FILLED = 10_000_000
"""Characters in all fillings of one text together: each is the whole text. Also the characters of answers held for their turn."""
MASKS = 16
"""Masks in one text."""
BEAM = 1_000
"""Partial fillings kept at each step of a search."""
PATHS = 65_536
"""Partial fillings that the searches of several texts keep side by side, about. One text may need more by itself."""
PIECES = 16
"""Pieces of a whole word that is looked for, and of a candidate."""
CUTS = 64
"""Ways to divide the masks of one text into pieces: of two masks with words of 1 to 4 pieces, 16."""
CANDIDATES = 10_000
"""Candidates for the masks."""
CANDIDATE = 1_000
"""Characters in one candidate."""
SCORED = 8_192
"""Tokens of a text that is scored: each is a run of the model over the tokens around it."""
NUMBERS = 1 << 27
"""Numbers in the states of one text's tokens: half a gigabyte."""
CALIBRATED = 1_024
"""Numbers of a calibrated vector; summing the rows of the longest text takes a fifth of a gigabyte then."""
WORKERS = 64
"""Processes that answer side by side."""
THREADS = 1_024
"""Processor threads of one model."""
LINE = 4_000_000
"""Bytes in one line of a file."""
WORDS = 10_000
"""In one tagged sentence: where no blank line ends it, a whole file is one."""
POINTS = 20_000
"""Texts in one picture."""

UNPACKING = 1 << 28
"""Bytes that unpacking an .xz file may take; `xz -9` wants a quarter of it."""

IMPORT_SECONDS = 600
"""That opening one file of another kind may take, unless told otherwise."""
IMPORT_MEMORY = 1 << 30
"""Bytes that it may take beyond three times the file's size, unless told otherwise."""


def whole(name: str, number: object, most: int) -> int:
    """A whole number of any integer type, from 1 to `most`. Raises BadInput for anything else, True and False among them."""
    try:
        found = 0 if isinstance(number, bool) else index(number)  # type: ignore[arg-type]  # what is no number raises
    except TypeError:
        found = 0
    if not 1 <= found <= most:
        raise BadInput(f"{name} is {number!r}, wanted a whole number from 1 to {most:,}")
    return found
