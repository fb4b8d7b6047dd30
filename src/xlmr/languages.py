"""The languages of XLM-R: their codes, names and scripts, and every other code under which people have them.

XLM-R was trained on 100 of the corpora of CC-100 (Conneau et al. 2020, "Unsupervised Cross-lingual Representation Learning at Scale",
appendix A): 94 languages, `zh` and `zh-Hant` counted as two, in `LANGUAGES`; and six more corpora of languages among these in another
writing, in `VARIANTS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from xlmr.errors import BadInput


@dataclass(frozen=True, slots=True)
class Language:
    """One language of XLM-R."""

    code: str
    """XLM-R's own, such as `de`, `no`, `tl`, `zh`, `zh-Hant`."""
    iso: str
    """ISO 639-3, of the macrolanguage where there is one: `nor`, not `nob`."""
    name: str
    """In English."""
    scripts: tuple[str, ...]
    """ISO 15924, those it is commonly written in, the commonest first."""
    aliases: tuple[str, ...]
    """Other codes and names it goes by."""


# Aliases: the individual languages behind a macrolanguage's code and the bibliographic codes of ISO 639, withdrawn codes, other names.
TABLE = (
    # code      ISO     name                scripts      aliases
    ("af",      "afr", "Afrikaans",         "Latn",      ""),
    ("am",      "amh", "Amharic",           "Ethi",      ""),
    ("ar",      "ara", "Arabic",            "Arab",      "arb"),
    ("as",      "asm", "Assamese",          "Beng",      ""),
    ("az",      "aze", "Azerbaijani",       "Latn",      "azj azeri"),
    ("be",      "bel", "Belarusian",        "Cyrl",      ""),
    ("bg",      "bul", "Bulgarian",         "Cyrl",      ""),
    ("bn",      "ben", "Bengali",           "Beng",      "bangla"),
    ("br",      "bre", "Breton",            "Latn",      ""),
    ("bs",      "bos", "Bosnian",           "Latn Cyrl", ""),
    ("ca",      "cat", "Catalan",           "Latn",      ""),
    ("cs",      "ces", "Czech",             "Latn",      "cze"),
    ("cy",      "cym", "Welsh",             "Latn",      "wel"),
    ("da",      "dan", "Danish",            "Latn",      ""),
    ("de",      "deu", "German",            "Latn",      "ger"),
    ("el",      "ell", "Greek",             "Grek",      "gre"),
    ("en",      "eng", "English",           "Latn",      ""),
    ("eo",      "epo", "Esperanto",         "Latn",      ""),
    ("es",      "spa", "Spanish",           "Latn",      "castilian"),
    ("et",      "est", "Estonian",          "Latn",      "ekk"),
    ("eu",      "eus", "Basque",            "Latn",      "baq"),
    ("fa",      "fas", "Persian",           "Arab",      "per pes prs farsi dari"),
    ("fi",      "fin", "Finnish",           "Latn",      ""),
    ("fr",      "fra", "French",            "Latn",      "fre"),
    ("fy",      "fry", "Western Frisian",   "Latn",      "frisian"),
    ("ga",      "gle", "Irish",             "Latn",      ""),
    ("gd",      "gla", "Scottish Gaelic",   "Latn",      ""),
    ("gl",      "glg", "Galician",          "Latn",      ""),
    ("gu",      "guj", "Gujarati",          "Gujr",      ""),
    ("ha",      "hau", "Hausa",             "Latn",      ""),
    ("he",      "heb", "Hebrew",            "Hebr",      "iw"),
    ("hi",      "hin", "Hindi",             "Deva",      ""),
    ("hr",      "hrv", "Croatian",          "Latn",      ""),
    ("hu",      "hun", "Hungarian",         "Latn",      ""),
    ("hy",      "hye", "Armenian",          "Armn",      "arm"),
    ("id",      "ind", "Indonesian",        "Latn",      "in"),
    ("is",      "isl", "Icelandic",         "Latn",      "ice"),
    ("it",      "ita", "Italian",           "Latn",      ""),
    ("ja",      "jpn", "Japanese",          "Jpan",      ""),
    ("jv",      "jav", "Javanese",          "Latn",      "jw"),
    ("ka",      "kat", "Georgian",          "Geor",      "geo"),
    ("kk",      "kaz", "Kazakh",            "Cyrl",      ""),
    ("km",      "khm", "Khmer",             "Khmr",      ""),
    ("kn",      "kan", "Kannada",           "Knda",      ""),
    ("ko",      "kor", "Korean",            "Hang Kore", ""),
    ("ku",      "kur", "Kurdish",           "Latn",      "kmr kurmanji"),
    ("ky",      "kir", "Kyrgyz",            "Cyrl",      "kirghiz"),
    ("la",      "lat", "Latin",             "Latn",      ""),
    ("lo",      "lao", "Lao",               "Laoo",      ""),
    ("lt",      "lit", "Lithuanian",        "Latn",      ""),
    ("lv",      "lav", "Latvian",           "Latn",      "lvs"),
    ("mg",      "mlg", "Malagasy",          "Latn",      "plt"),
    ("mk",      "mkd", "Macedonian",        "Cyrl",      "mac"),
    ("ml",      "mal", "Malayalam",         "Mlym",      ""),
    ("mn",      "mon", "Mongolian",         "Cyrl",      "khk"),
    ("mr",      "mar", "Marathi",           "Deva",      ""),
    ("ms",      "msa", "Malay",             "Latn",      "may zsm zlm"),
    ("my",      "mya", "Burmese",           "Mymr",      "bur myanmar"),
    ("ne",      "nep", "Nepali",            "Deva",      "npi"),
    ("nl",      "nld", "Dutch",             "Latn",      "dut flemish"),
    ("no",      "nor", "Norwegian",         "Latn",      "nb nob nn nno bokmål nynorsk"),
    ("om",      "orm", "Oromo",             "Latn",      "gaz"),
    ("or",      "ori", "Odia",              "Orya",      "ory oriya"),
    ("pa",      "pan", "Punjabi",           "Guru",      "panjabi"),
    ("pl",      "pol", "Polish",            "Latn",      ""),
    ("ps",      "pus", "Pashto",            "Arab",      "pbt pushto"),
    ("pt",      "por", "Portuguese",        "Latn",      ""),
    ("ro",      "ron", "Romanian",          "Latn",      "rum mo mol moldovan"),
    ("ru",      "rus", "Russian",           "Cyrl",      ""),
    ("sa",      "san", "Sanskrit",          "Deva",      ""),
    ("sd",      "snd", "Sindhi",            "Arab",      ""),
    ("si",      "sin", "Sinhala",           "Sinh",      "sinhalese"),
    ("sk",      "slk", "Slovak",            "Latn",      "slo"),
    ("sl",      "slv", "Slovenian",         "Latn",      "slovene"),
    ("so",      "som", "Somali",            "Latn",      ""),
    ("sq",      "sqi", "Albanian",          "Latn",      "alb als"),
    ("sr",      "srp", "Serbian",           "Cyrl Latn", ""),
    ("su",      "sun", "Sundanese",         "Latn",      ""),
    ("sv",      "swe", "Swedish",           "Latn",      ""),
    ("sw",      "swa", "Swahili",           "Latn",      "swh"),
    ("ta",      "tam", "Tamil",             "Taml",      ""),
    ("te",      "tel", "Telugu",            "Telu",      ""),
    ("th",      "tha", "Thai",              "Thai",      ""),
    ("tl",      "tgl", "Tagalog",           "Latn",      "fil filipino"),
    ("tr",      "tur", "Turkish",           "Latn",      ""),
    ("ug",      "uig", "Uyghur",            "Arab",      "uighur"),
    ("uk",      "ukr", "Ukrainian",         "Cyrl",      ""),
    ("ur",      "urd", "Urdu",              "Arab",      ""),
    ("uz",      "uzb", "Uzbek",             "Latn Cyrl", "uzn"),
    ("vi",      "vie", "Vietnamese",        "Latn",      ""),
    ("xh",      "xho", "Xhosa",             "Latn",      ""),
    ("yi",      "yid", "Yiddish",           "Hebr",      "ji ydd"),
    ("zh",      "zho", "Chinese",           "Hans",      "chi cmn mandarin zh-cn zh-sg"),
    ("zh-Hant", "zho", "Chinese (traditional)", "Hant",  "cmn-hant zh-tw zh-hk zh-mo zh-classical"),
)  # fmt: skip

VARIANTS = (
    # code     of    script  what it is
    ("bn_rom", "bn", "Latn", "Bengali, romanised"),
    ("hi_rom", "hi", "Latn", "Hindi, romanised"),
    ("my_zaw", "my", "Mymr", "Burmese in the Zawgyi encoding, which is not Unicode's"),
    ("ta_rom", "ta", "Latn", "Tamil, romanised"),
    ("te_rom", "te", "Latn", "Telugu, romanised"),
    ("ur_rom", "ur", "Latn", "Urdu, romanised"),
)  # fmt: skip

# After Ethnologue and Glottolog: the families, Indo-European by its branches since half of the languages are of it. Languages outside
# XLM-R's table stand here too where people evaluate them.
FAMILY_TABLE = (
    ("Germanic",       "af da de en fo fy is lb nl no sv yi"),
    ("Romance",        "ca es fr gl it la oc pt ro"),
    ("Slavic",         "be bg bs cs hr mk pl ru sk sl sr uk"),
    ("Baltic",         "lt lv"),
    ("Celtic",         "br cy ga gd"),
    ("Greek, Albanian, Armenian", "el hy sq"),
    ("Iranian",        "fa ku ps tg"),
    ("Indo-Aryan",     "as bho bn gu hi mr ne or pa sa sd si ur"),
    ("Dravidian",      "kn ml ta te"),
    ("Turkic",         "az kk ky tr tt ug uz"),
    ("Uralic",         "et fi hu"),
    ("Afro-Asiatic",   "am ar ha he mt om so ti"),
    ("Niger-Congo",    "ig lg rw sn sw wo xh yo zu"),
    ("Austronesian",   "ceb id jv mg mi ms su tl"),
    ("Austroasiatic",  "km vi"),
    ("Kra-Dai",        "lo th"),
    ("Sino-Tibetan",   "bo my yue zh zh-Hant"),
    ("other",          "eo eu ja ka ko mn"),
)  # fmt: skip

REGION = re.compile(r"[a-z]{2}|[0-9]{3}|(?=[a-z]*[0-9])[a-z0-9]{4,8}")
"""What may follow language and script in a tag of BCP 47: a region, such as BR or 419, or a variant with a digit in it, such as 1996."""

LANGUAGES = {row[0]: Language(*row[:3], scripts=tuple(row[3].split()), aliases=tuple(row[4].split())) for row in TABLE}


FAMILIES = {code: family for family, codes in FAMILY_TABLE for code in codes.split()}
"""The family of a language by its code."""


def find(name: str) -> Language:
    """The language with this code, alias or English name; `-` or `_`, capital or small letters are the same.

    Understood are XLM-R's codes (`no`, `zh-Hant`, `hi_rom`), ISO 639 in two and three letters (`nb`, `ger`, `deu`, `cmn`), each with
    a script (`eng_Latn`, `sr-Cyrl`), a region or a variant as well (`pt-BR`, `zh-Hant-TW`, `de-1996`), which change nothing where the
    table has no language of its own for them; and names (`German`). Raises BadInput, with what comes close, for any other.
    """
    tag = _known(name) if isinstance(name, str) else None
    if tag is None:
        close = dict.fromkeys(NAMES[near] for near in get_close_matches(_folded(str(name)), NAMES, n=3, cutoff=0.75))
        hint = ", ".join(f"{language.code} ({language.name})" for language in close)
        raise BadInput(
            f"language {name!r} is not known; " + (f"is it one of {hint}?" if hint else "wanted a code such as en, no, zh or zh-Hant")
        )
    return NAMES[tag]


def written(name: str) -> tuple[str, ...]:
    """The scripts of a language, as ISO 15924 has them; that one alone which its name says (`sr-Latn`, `hi_rom`). Raises as `find`."""
    language = find(name)
    tag = _known(name)
    said = [script for script in SCRIPTS if tag and tag.endswith(f"-{script.casefold()}")]
    return tuple(said) or tuple(script for code, _, script, _ in VARIANTS if _folded(code) == tag) or language.scripts


def _known(name: str) -> str | None:
    """What the table has of a name: the whole, or what is left without regions and variants at its end."""
    tag = _folded(name)
    while tag not in NAMES:
        language, hyphen, last = tag.rpartition("-")
        if not hyphen or not REGION.fullmatch(last):
            return None
        tag = language
    return tag


def _folded(name: str) -> str:
    return name.strip().casefold().replace("_", "-")


def _names() -> Iterator[tuple[str, Language]]:
    """Every name of every language; where two languages share one (`zho`) the first has it."""
    for language in reversed(LANGUAGES.values()):
        for name in (language.code, language.iso, *language.aliases):
            yield name, language
            yield from ((f"{name}-{script}", language) for script in language.scripts)
        yield language.name, language
    for code, of, script, _ in VARIANTS:
        yield code, LANGUAGES[of]
        yield from ((f"{name}-{script}", LANGUAGES[of]) for name in (of, LANGUAGES[of].iso))


NAMES = {_folded(name): language for name, language in _names()}
SCRIPTS = sorted({script for language in LANGUAGES.values() for script in language.scripts} | {script for _, _, script, _ in VARIANTS})
