"""Maps for the tests of this folder, made by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xlmr.maps import Dot, Map


def drawing(dots: Sequence[Dot], *, lines: bool = True, seed: int = 0) -> Map:
    """A map of these dots, somewhere."""
    places = np.random.default_rng(seed).standard_normal((len(dots), 2))
    return Map(dots, places, "A picture", ["What it shows.", 'How <it> & "that" was made.'], lines)


HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]></title></svg><img src=x onerror=alert(1)>",
    "\"><b onclick='x()'>&amp;&lt;&#60;",
    "a\u202eb\u2066c\u200f",
    "\x00\x1b[31m\x7f\x85\r\n\t",
    "\ud83d \ufffe\uffff \u2028\u2029",
    "{{DATA}} {{SCRIPT}} \\u003c \\",
)
"""What a file may hold, and a picture must not become."""
