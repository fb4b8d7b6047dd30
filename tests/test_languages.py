import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xlmr.errors import BadInput
from xlmr.languages import LANGUAGES, NAMES, REGION, TABLE, VARIANTS, Language, find, written

# The 100 corpora of the paper's appendix, in its order, as one string: a second writing of the table, to hold it against.
PUBLISHED = """
af am ar as az be bg bn bn_rom br bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha he hi hi_rom hr hu hy id is it ja jv ka kk
km kn ko ku ky la lo lt lv mg mk ml mn mr ms my my_zaw ne nl no om or pa pl ps pt ro ru sa sd si sk sl so sq sr su sv sw ta ta_rom te te_rom
th tl tr ug uk ur ur_rom uz vi xh yi zh zh-Hant
"""
FLORES = """
afr_Latn amh_Ethi arb_Arab asm_Beng azj_Latn bel_Cyrl bul_Cyrl ben_Beng bos_Latn cat_Latn ces_Latn cym_Latn dan_Latn deu_Latn ell_Grek
eng_Latn epo_Latn spa_Latn est_Latn eus_Latn pes_Arab fin_Latn fra_Latn gle_Latn gla_Latn glg_Latn guj_Gujr hau_Latn heb_Hebr hin_Deva
hrv_Latn hun_Latn hye_Armn ind_Latn isl_Latn ita_Latn jpn_Jpan jav_Latn kat_Geor kaz_Cyrl khm_Khmr kan_Knda kor_Hang kmr_Latn kir_Cyrl
lao_Laoo lit_Latn lvs_Latn plt_Latn mkd_Cyrl mal_Mlym khk_Cyrl mar_Deva zsm_Latn mya_Mymr npi_Deva nld_Latn nob_Latn gaz_Latn ory_Orya
pan_Guru pol_Latn pbt_Arab por_Latn ron_Latn rus_Cyrl san_Deva snd_Arab sin_Sinh slk_Latn slv_Latn som_Latn als_Latn srp_Cyrl sun_Latn
swe_Latn swh_Latn tam_Taml tel_Telu tha_Thai tgl_Latn tur_Latn uig_Arab ukr_Cyrl urd_Arab uzn_Latn vie_Latn xho_Latn ydd_Hebr zho_Hans
zho_Hant
"""
SCRIPTS = set("""
Arab Armn Beng Cyrl Deva Ethi Geor Grek Gujr Guru Hang Hans Hant Hebr Jpan Khmr Knda Kore Laoo Latn Mlym Mymr Orya Sinh Taml Telu Thai
""".split())  # fmt: skip
DATA = Path(__file__).parents[2] / "shared" / "data" / "text"
ISO = Path("/usr/share/iso-codes/json")

each = pytest.mark.parametrize("language", LANGUAGES.values(), ids=list(LANGUAGES))


def test_there_are_the_100_published_ones() -> None:
    assert sorted([*LANGUAGES, *(code for code, *_ in VARIANTS)]) == sorted(PUBLISHED.split())
    assert len(LANGUAGES) == 94 == len(TABLE)


@each
def test_a_language_is_found_by_all_its_names(language: Language) -> None:
    for name in (language.code, language.name, *language.aliases, *(f"{language.code}-{script}" for script in language.scripts)):
        assert find(name) is language


@each
def test_its_iso_code_finds_it_or_the_one_it_shares_the_code_with(language: Language) -> None:
    assert find(language.iso).iso == language.iso
    assert all(find(f"{language.iso}_{script}") is language for script in language.scripts)


def test_no_two_languages_claim_a_name() -> None:
    claims = [name for language in LANGUAGES.values() for name in (language.code.casefold(), language.name.casefold(), *language.aliases)]
    assert len(claims) == len(set(claims))
    assert {language.iso for language in LANGUAGES.values()}.isdisjoint({a for language in LANGUAGES.values() for a in language.aliases})


@each
def test_the_fields_are_well_formed(language: Language) -> None:
    assert len(language.iso) == 3
    assert language.iso.isascii()
    assert language.iso.islower()
    assert language.scripts
    assert set(language.scripts) <= SCRIPTS
    assert all(alias == alias.casefold() for alias in language.aliases)


def test_variants_are_of_languages_in_the_table() -> None:
    for code, of, script, _ in VARIANTS:
        assert find(code) is LANGUAGES[of]
        assert script not in LANGUAGES[of].scripts or code == "my_zaw"
    assert find("hin_Latn").code == "hi"


def test_flores_codes_are_understood() -> None:
    codes = [find(name).code for name in FLORES.split()]
    assert len(codes) == len(set(codes)) == 91
    assert set(LANGUAGES) - set(codes) == {"br", "fy", "la"}


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("zh-hant", "zh-Hant"), ("zh_Hans", "zh"), ("zho", "zh"), ("cmn", "zh"), ("cmn_Hant", "zh-Hant"), ("zh-TW", "zh-Hant"),
        ("nb", "no"), ("nno", "no"), ("iw", "he"), ("fil", "tl"), ("GER", "de"), (" German ", "de"), ("sr-Latn", "sr"), ("bokmål", "no"),
        ("pt-BR", "pt"), ("en_US", "en"), ("es-419", "es"), ("zh-Hant-TW", "zh-Hant"), ("zh-Hans-CN", "zh"), ("zh-HK", "zh-Hant"),
        ("sr-Latn-RS", "sr"), ("de-DE-1996", "de"), ("nb-NO", "no"),
    ],
)  # fmt: skip
def test_other_names(name: str, code: str) -> None:
    assert find(name).code == code


@given(st.sampled_from(sorted(LANGUAGES)), st.from_regex(REGION, fullmatch=True), st.booleans())
def test_a_region_changes_nothing_but_where_the_table_has_it(code: str, region: str, low: bool) -> None:
    tag = f"{code}-{region}"
    assert find(tag.replace("-", "_") if low else tag) is NAMES.get(tag.casefold(), LANGUAGES[code])


@pytest.mark.parametrize("name", ["pt-", "-BR", "pt-B", "pt-BRA", "de-Cyrl", "xx-DE", "pt--BR", "eng_Latin"])
def test_what_is_no_region_is_not_taken_for_one(name: str) -> None:
    with pytest.raises(BadInput, match="is not known"):
        find(name)


@pytest.mark.parametrize(
    ("name", "scripts"),
    [
        ("sr", ("Cyrl", "Latn")), ("sr-Latn", ("Latn",)), ("srp_Cyrl", ("Cyrl",)), ("sr_Latn_RS", ("Latn",)), ("hi_rom", ("Latn",)),
        ("hin-Latn", ("Latn",)), ("my_zaw", ("Mymr",)), ("zh-TW", ("Hant",)), ("ja", ("Jpan",)), ("German", ("Latn",)),
    ],
)  # fmt: skip
def test_a_language_is_written_in_its_scripts_or_in_the_one_its_name_says(name: str, scripts: tuple[str, ...]) -> None:
    assert written(name) == scripts


@given(st.sampled_from(sorted(NAMES)), st.booleans(), st.booleans())
def test_case_and_hyphen_do_not_matter(name: str, capital: bool, low: bool) -> None:
    written = (name.upper() if capital else name).replace("-", "_" if low else "-")
    assert find(written) is find(name)


@given(st.text())
def test_any_text_is_a_language_or_bad_input(name: str) -> None:
    with contextlib.suppress(BadInput):
        assert find(name) in LANGUAGES.values()


@pytest.mark.parametrize(("name", "hint"), [("Germam", "de (German)"), ("eng_Latin", "en (English)"), ("zh-Hants", "zh (Chinese)")])
def test_an_unknown_name_comes_with_what_is_close(name: str, hint: str) -> None:
    with pytest.raises(BadInput, match=f"language '{name}' is not known; is it one of .*") as caught:
        find(name)
    assert hint in str(caught.value)


def test_an_unknown_name_that_is_close_to_nothing_says_what_is_wanted() -> None:
    with pytest.raises(BadInput, match="language 'q1' is not known; wanted a code such as en, no, zh or zh-Hant"):
        find("q1")


@pytest.mark.skipif(not DATA.is_dir(), reason="the training text at ../shared/data is not here")
def test_every_language_of_the_training_text_is_in_the_table_and_the_other_way_round() -> None:
    files = [*DATA.glob("*.txt.xz"), *DATA.glob("parallel/*/*.tsv.xz")]
    assert {find(file.name.split(".")[0]) for file in files} == set(LANGUAGES.values())


@pytest.mark.skipif(not ISO.is_dir(), reason="the iso-codes package is not installed")
def test_codes_and_scripts_are_those_of_the_standards() -> None:
    scripts = {row["alpha_4"] for row in json.loads((ISO / "iso_15924.json").read_text())["15924"]}
    assert scripts >= SCRIPTS
    three = {row["alpha_3"]: row for row in json.loads((ISO / "iso_639-3.json").read_text())["639-3"]}
    known = three.keys() | {row.get("bibliographic") for row in three.values()} | {"mol"}  # withdrawn, as Romanian
    for code, language in LANGUAGES.items():
        assert three[language.iso]["alpha_2"] == code.split("-")[0]
        assert {alias for alias in language.aliases if len(alias) == 3} <= known
