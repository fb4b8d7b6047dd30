"""Sentences of four languages, each a translation of the others: combinations of a few words."""

from __future__ import annotations

import itertools
import lzma
from pathlib import Path

WORDS = {
    "en": ("the {} sees the {} and {}", "cat dog child woman horse bird fish".split(), "sleeps reads eats runs sings waits".split()),
    "de": ("das {} sieht das {} und {}", "Kätzchen Hündchen Kind Mädchen Pferd Vöglein Fischlein".split(),
           "schläft liest isst rennt singt wartet".split()),
    "el": ("το {} βλέπει το {} και {}", "γατί σκυλί παιδί κορίτσι άλογο πουλί ψάρι".split(),
           "κοιμάται διαβάζει τρώει τρέχει τραγουδά περιμένει".split()),
    "zh": ("{}看见{}然后{}", "猫 狗 孩子 女人 马 鸟 鱼".split(), "睡觉 读书 吃饭 跑步 唱歌 等待".split()),
}  # fmt: skip


def sentences(language: str) -> list[str]:
    """Translations of each other, by index."""
    frame, nouns, verbs = WORDS[language]
    return [frame.format(a, b, verb) for a, b, verb in itertools.product(nouns, nouns, verbs)]


def write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with lzma.open(path, "wt", encoding="utf-8", newline="\n") as file:
        file.writelines(line + "\n" for line in lines)
