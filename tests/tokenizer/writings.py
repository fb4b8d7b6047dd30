"""Small sentences in many languages, and the forms in which a text can come: each as someone's keyboard, file or web page writes it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping

SENTENCES: Mapping[str, str] = {
    "af": "Die kinders lees 'n boek.",
    "ar": "الأطفال يقرؤون كتابًا في المساء.",
    "be": "Дзеці чытаюць кнігу.",
    "bg": "Децата четат книга вечер.",
    "bn": "আমি একটি বই পড়ি।",
    "bs": "Djeca čitaju knjigu.",
    "ca": "Els nens llegeixen un llibre col·lectiu.",
    "cs": "Děti večer čtou knížku.",
    "cy": "Mae'r plant yn darllen llyfr.",
    "da": "Børnene læser en bog på øen.",
    "de": "Die Kinder lesen abends gern größere Bücher.",
    "el": "Τα παιδιά διαβάζουν ένα βιβλίο το βράδυ.",
    "en": "The children don't read “books” in the evening…",
    "eo": "La infanoj legas libron ĉiutage.",
    "es": "¿Por qué leen los niños un libro de la montaña?",
    "et": "Lapsed loevad õhtul raamatut.",
    "eu": "Haurrek liburu bat irakurtzen dute.",
    "fa": "کودکان شب‌ها کتاب می‌خوانند.",
    "fi": "Lapset lukevat kirjaa illalla.",
    "fr": "L’été, les élèves lisent un œuvre à l’école.",
    "ga": "Léann na páistí leabhar.",
    "gl": "Os nenos len un libro pola noite.",
    "gu": "હું પુસ્તક વાંચું છું.",
    "he": "הילדים קוראים ספר בערב.",
    "hi": "मैं हर शाम एक किताब पढ़ता हूँ।",
    "hr": "Djeca navečer čitaju knjigu.",
    "hu": "A gyerekek este könyvet olvasnak, őszintén.",
    "hy": "Երեխաները գիրք են կարդում։",
    "id": "Anak-anak membaca buku.",
    "is": "Börnin lesa bók á kvöldin, það er gott.",
    "it": "I bambini leggono un libro, perché è bello.",
    "ja": "子供たちは、がっこうでガラスのﾊﾟﾝを１２個たべました。",
    "ka": "ბავშვები წიგნს კითხულობენ.",
    "kk": "Балалар кітап оқиды.",
    "kn": "ನಾನು ಪುಸ್ತಕ ಓದುತ್ತೇನೆ.",
    "ko": "아이들은 저녁에 책을 읽습니다.",
    "la": "Pueri librum legunt.",
    "lt": "Vaikai vakare skaito knygą.",
    "lv": "Bērni vakarā lasa grāmatu.",
    "mk": "Децата читаат книга.",
    "ml": "ഞാൻ പുസ്തകം വായിക്കുന്നു.",
    "mr": "मुले पुस्तक वाचतात.",
    "ms": "Kanak-kanak membaca buku.",
    "ne": "म किताब पढ्छु।",
    "nl": "De kinderen lezen ’s avonds een boek, hè?",
    "no": "Barna leser en bok på øya.",
    "pa": "ਮੈਂ ਕਿਤਾਬ ਪੜ੍ਹਦਾ ਹਾਂ।",
    "pl": "Dzieci wieczorem czytają książkę o żółwiach.",
    "pt": "As crianças lêem um livro à noite, não é?",
    "ro": "Copiii citesc o carte și învață.",
    "ru": "Дети читают ещё одну книгу; ёжик спит.",
    "sk": "Deti večer čítajú knihu.",
    "sl": "Otroci zvečer berejo knjigo.",
    "sq": "Fëmijët lexojnë një libër.",
    "sr": "Деца увече читају књигу.",
    "sv": "Barnen läser en bok på ön.",
    "sw": "Watoto wanasoma kitabu.",
    "ta": "நான் புத்தகம் படிக்கிறேன்.",
    "te": "నేను పుస్తకం చదువుతున్నాను.",
    "th": "เด็กๆ อ่านหนังสือในตอนเย็น",
    "tl": "Nagbabasa ang mga bata ng aklat.",
    "tr": "Çocuklar akşamları kitap okuyor, İstanbul'da ılık.",
    "uk": "Діти ввечері читають книжку; їжак спить.",
    "ur": "بچے شام کو کتاب پڑھتے ہیں۔",
    "uz": "Bolalar kitob oʻqiydi.",
    "vi": "Buổi tối các em nhỏ đọc sách ở trường.",
    "yi": "די קינדער לייענען אַ בוך.",
    "zh": "孩子们晚上在家里读书，真好！",
    "zh-Hant": "孩子們晚上在家裡讀書，真好！",
}

HALF_WIDTH = {unicodedata.normalize("NFKC", chr(code)): chr(code) for code in (*range(0xFF9F, 0xFF60, -1), *range(0xFFDC, 0xFF9F, -1))}
MARKS = {"\u3099": "\uff9e", "\u309a": "\uff9f"}


def full_width(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char.replace(" ", "\u3000") for char in text)


def half_width(text: str) -> str:
    """Kana and Hangul letters in their half-width forms, a voiced sound as two of them."""
    parts = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(MARKS.get(char) or HALF_WIDTH.get(char, char) for char in parts))


FORMS: Mapping[str, Callable[[str], str]] = {
    "NFC": lambda text: unicodedata.normalize("NFC", text),
    "NFD": lambda text: unicodedata.normalize("NFD", text),
    "NFKC": lambda text: unicodedata.normalize("NFKC", text),
    "NFKD": lambda text: unicodedata.normalize("NFKD", text),
    "full width": full_width,
    "half width": half_width,
    "capitals": str.upper,
    "mixed": lambda text: f"Ｔhe 子供ｶﾞ {unicodedata.normalize('NFD', text)} é книгу{text}１２３ ①½㎏",
    "odd spaces": lambda text: "\u3000\t" + text.replace(" ", " \u00a0\u2009\u2028\u3000") + "\r\n\x85",
    "joiners": lambda text: "\u200d".join(text[:9]) + text[9:].replace(" ", "\u200b \u2060") + "\u200c\ufeff",
    "controls": lambda text: text.replace(" ", " \x01\x1f\x7f").join(("\x08", "\x00\x9f")),
    "emoji": lambda text: text.replace(" ", " 👩🏽‍🚀🇧🇷❤️ 1️⃣"),
    "lone marks": lambda text: "\u0301" + text.replace(" ", " \u0323\u0302") + "\u093c\u05bc\u3099",
}
