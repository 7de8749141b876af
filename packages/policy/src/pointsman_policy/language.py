"""Which language a person writes in: a guess from its commonest words, or from its script."""

from __future__ import annotations

from collections.abc import Iterable

_COMMON = {
    "en": "the of and to is in that it for you with this what how are be on my me from an have do can not i which",
    "pt": "de o que e do da em um uma para com nao os as no na por mais ao dos como mas foi ele das tem "
    "isso esse essa esta este voce meu minha sao qual quais faca escreva codigo funcao porque seu sua "
    "ou pelo pela eu estou preciso",
    "es": "el la los las del y es un una por con para que su al lo como mas pero sus le ya este esta porque "
    "cual cuales mi yo se en hay una unos quien donde cuando codigo funcion escribe haz hacer puedo "
    "son",
    "fr": "le la les des et est un une du en que qui dans pour pas sur ce cette il elle je vous nous avec "
    "plus par au aux ne se quel quelle comment pourquoi mon ma mes fait ecris sont qu c l d",
    "de": "diese dieser dieses macht funktion erklare schreib bitte habe hat wo wer noch nur man du der die "
    "das und ist ein eine in den von zu mit nicht auf fur im dem des sich es ich sie wie was warum "
    "wird sind als auch aus bei einen einer mein kann wenn oder mir schreibe",
    "it": "il lo la gli le di che e un una per non sono del della con come ma da si piu anche questo questa "
    "perche cosa quale mio nel nella i al alla ho mi scrivi ed",
}
_BY_WORD: dict[str, tuple[str, ...]] = {}
for _language, _words in _COMMON.items():
    for _word in _words.split():
        _BY_WORD[_word] = (*_BY_WORD.get(_word, ()), _language)

_SCRIPTS = (  # the first code point, the last, the language that mostly uses it; kana stand before the Han they mix with
    (0x3040, 0x30FF, "ja"),
    (0xAC00, 0xD7AF, "ko"),
    (0x4E00, 0x9FFF, "zh"),
    (0x0400, 0x04FF, "ru"),
    (0x0600, 0x06FF, "ar"),
    (0x0590, 0x05FF, "he"),
    (0x0370, 0x03FF, "el"),
    (0x0900, 0x097F, "hi"),
    (0x0E00, 0x0E7F, "th"),
)
_MARKS = {"ã": "pt", "õ": "pt", "ç": "pt", "ê": "pt", "ñ": "es", "¿": "es", "¡": "es", "ß": "de", "ü": "de", "œ": "fr"}
_LOOKED_AT = 400


def language_of(prose: str, words: Iterable[str]) -> str:
    """The ISO 639-1 code of the language of `prose`, whose `words` are in lower case and without accents.

    Text that says nothing about it, such as ``ok`` or none, counts as English; letters of a script that is not known
    here, and Latin letters of which none makes a known word, are ``other``.
    """
    letters = prose[:_LOOKED_AT]
    points = {} if letters.isascii() else _by_script(letters)
    if points and sum(points.values()) * 4 > sum(map(str.isalpha, letters)):
        if points.get("ja", 0) * 8 > points.get("zh", 0):
            points.pop("zh", None)
        return max(points, key=lambda language: points[language])
    votes = dict.fromkeys(_COMMON, 0.0)
    seen = 0
    for word in words:
        seen += 1
        for language in _BY_WORD.get(word, ()):
            votes[language] += 1 / len(_BY_WORD[word])
    if not letters.isascii():
        for mark, language in _MARKS.items():
            votes[language] += min(letters.count(mark), 3)
    best = max(votes, key=lambda language: votes[language])
    if not votes[best]:
        return "en" if letters.isascii() and seen < 8 else "other"
    return best


def _by_script(letters: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for letter in letters:
        point = ord(letter)
        if point > 0x36F:
            language = next((name for first, last, name in _SCRIPTS if first <= point <= last), None)
            if language is None and letter.isalpha():
                language = "other"
            if language:
                found[language] = found.get(language, 0) + 1
    return found
