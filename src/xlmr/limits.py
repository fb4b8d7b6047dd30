"""What may be asked at once. Held before any work is done for it, so that no input costs more than its answer is worth."""

CHARACTERS = 100_000
"""In one text. A model's own limit, in tokens, comes far below it; this one is seen without cutting the text into tokens."""
TOP = 1_000
"""Fillings of one mask."""
LINE = 4_000_000
"""Bytes in one line of a file."""
