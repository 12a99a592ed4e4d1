"""By which words people ask to have something remembered, in their own languages.

A phrase opens a sentence, or what stands behind a comma or colon in it. One that begins with an ellipsis ends a
sentence: so do verbs in some languages. A question asks for nothing to be remembered.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

USUAL: tuple[str, ...] = (
    # English
    "remember that", "remember this", "remember:", "remember my", "remember i", "please remember", "and remember",
    "also remember", "always remember", "don't forget that", "please don't forget", "do not forget that",
    "keep in mind that", "please keep in mind", "make a note that", "for future reference", "from now on",
    # German
    "merk dir", "merke dir", "merken sie sich", "bitte merk dir", "bitte merke dir", "bitte merken sie sich",
    "behalte im kopf", "behalte in erinnerung", "denk daran", "denke daran", "denk dran", "vergiss nicht",
    "vergiss bitte nicht", "notier dir", "notiere dir", "ab jetzt", "von nun an",
    # French
    "souviens-toi", "souvenez-vous", "rappelle-toi", "rappelez-vous", "n'oublie pas", "n'oubliez pas", "retiens que",
    "retenez que", "garde en tête", "gardez en tête", "à partir de maintenant", "désormais",
    # Spanish
    "recuerda que", "recuerde que", "acuérdate de", "no olvides que", "no olvide que", "ten en cuenta que",
    "tenga en cuenta que", "apunta que", "anota que", "a partir de ahora",
    # Portuguese
    "lembre-se de que", "lembre-se que", "lembra-te", "lembre que", "não esqueça", "não se esqueça", "tenha em mente",
    "anote que", "a partir de agora",
    # Italian
    "ricorda che", "ricordati che", "ricordati di", "ricordi che", "non dimenticare che", "tieni presente che",
    "tieni a mente", "prendi nota", "d'ora in poi",
    # Dutch, Swedish, Danish, Norwegian, Finnish
    "onthoud dat", "onthoud:", "vergeet niet", "denk eraan", "noteer dat", "vanaf nu", "kom ihåg", "glöm inte",
    "husk at", "husk på", "glem ikke", "muista että", "älä unohda",
    # Polish, Czech, Russian, Ukrainian
    "zapamiętaj", "pamiętaj", "nie zapomnij", "zanotuj", "od teraz", "zapamatuj si", "pamatuj si", "nezapomeň",
    "запомни", "запомните", "помни", "помните", "не забудь", "не забудьте", "имей в виду", "имейте в виду", "учти",
    "запам'ятай", "запам'ятайте", "пам'ятай", "не забувай",
    # Turkish, Arabic, Hindi, Indonesian, Vietnamese, Thai
    "unutma", "şunu unutma", "aklında tut", "…unutma", "…aklında tut", "تذكر أن", "تذكري أن", "لا تنس أن",  # noqa: RUF001 - Turkish
    "याद रखना", "याद रखो", "याद रखें", "…याद रखना", "…याद रखो", "…याद रखें", "ingat bahwa", "ingatlah", "jangan lupa",
    "hãy nhớ", "nhớ rằng", "จำไว้ว่า", "…จำไว้นะ", "…จำไว้ด้วย",
    # Chinese, Japanese, Korean
    "记住", "请记住", "记得", "请记得", "别忘了", "不要忘记", "記住", "請記住", "記得", "別忘了",
    "覚えておいて", "…覚えておいて", "…覚えておいてください", "…覚えておいてね", "…忘れないで", "…忘れないでください",
    "기억해", "…기억해", "…기억해줘", "…기억해 줘", "…기억해 주세요", "…잊지 마",
)  # fmt: skip
"""Where a configuration says nothing. Lists of some dozens of words cost a microsecond for each sentence."""

ELLIPSIS = "…"
_MOST_LOOKED_AT_CHARS = 4_000
_MOST_SENTENCES = 3
# No space parts words there: Thai, and from the kana on.
_UNSPACED = ("\u0e00", "\u0e7f"), ("\u3040", "\uffff")
_SENTENCE = re.compile(r"[^.!?\u2026\u3002\uff01\uff1f\u061f\u0964\n]+[.!?\u2026\u3002\uff01\uff1f\u061f\u0964]*")
_QUESTION_MARKS = ("?", "\uff1f", "\u061f")
_APOSTROPHES = {ord("\u2019"): "'", ord("\u02bc"): "'"}


class Phrases:
    """Finds sentences that ask to have something remembered."""

    def __init__(self, phrases: Iterable[str]) -> None:
        openers: list[str] = []
        closers: list[str] = []
        for phrase in phrases:
            words = _same(phrase).strip()
            if words.startswith(ELLIPSIS):
                closers.append(re.escape(words.removeprefix(ELLIPSIS).strip()))
            else:
                openers.append(re.escape(words) + ("" if _ends_unspaced(words) else r"(?!\w)"))
        found = [rf"(?:\A|[,;:\u2013\u2014\uff0c\u3001\uff1a]\s*)(?:{'|'.join(openers)})"] if openers else []
        found += [rf"(?:{'|'.join(closers)})\W*\Z"] if closers else []
        self._pattern = re.compile("|".join(found), re.IGNORECASE) if found else None

    def sentences_in(self, text: str) -> list[str]:
        """The first sentences of a text that ask for it; of a long one its beginning is looked at."""
        if self._pattern is None:
            return []
        found: list[str] = []
        for each in _SENTENCE.finditer(_same(text[:_MOST_LOOKED_AT_CHARS])):
            sentence = each[0].strip()
            if not sentence.endswith(_QUESTION_MARKS) and self._pattern.search(sentence) is not None:
                found.append(sentence)
                if len(found) == _MOST_SENTENCES:
                    break
        return found


def _same(text: str) -> str:
    return unicodedata.normalize("NFC", text).translate(_APOSTROPHES)


def _ends_unspaced(words: str) -> bool:
    last = words[-1:]
    return not last.isalnum() or any(low <= last <= high for low, high in _UNSPACED)
