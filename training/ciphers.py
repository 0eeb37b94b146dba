"""Labelled texts rewritten in scripts and words that mean nothing.

The labels are known in a few languages, and most languages are none of these. A text whose letters were exchanged keeps its shape:
lengths, sentences, commas, questions, acronyms and mathematics. Trained on such texts too, the classifier leans on shape where
it knows no word.
"""

import random
import re

_LATIN = (
    "abcdefghijklmnopqrstuvwxyzáéíóúàèìòùâêîôûäëïöüãõåøæçñßğışčřšžýďťňůłąęśźżćńőűăâîțđơư"
    "ạảấầẩậắằẳặẹẻếềểễệỉịọỏốồổộớờởợụủứừửữựỳỵỷỹ"
)
_CYRILLIC = "абвгдежзийклмнопрстуфхцчшщыьэюяіїєґ"
_GREEK = "αβγδεζηθικλμνξοπρστυφχψωάέήίόύώ"
_ARABIC = "ابتثجحخدذرزسشصضطظعغفقكلمنهويةىءپچژگک"
_HEBREW = "אבגדהוזחטיכלמנסעפצקרשתםןךףץ"
_DEVANAGARI = "अआइईउऊएऐओऔकखगघचछजझटठडढणतथदधनपफबभमयरलवशषसहािीुूेैोौं्"
_BENGALI = "অআইঈউএওকখগঘচছজঝটঠডঢণতথদধনপফবভমযরলশষসহািীুূেৈোৌং্"
_THAI = "กขคงจชซญดตถทธนบปผพฟมยรลวสหอะาิีึืุูเแโใไ่้์"
_HAN = tuple(chr(point) for point in range(0x4E00, 0x8000, 7))
_KANA = tuple(chr(point) for point in (*range(0x3042, 0x3094), *range(0x30A2, 0x30F4), 0x30FC))
_HANGUL = tuple(chr(point) for point in range(0xAC00, 0xD7A0, 19))

_PIECE = re.compile(r"\s+|\w+|[^\w\s]")
_KEPT = re.compile(
    r"[A-Z0-9]{2,}\w*|\w*\d\w*|[A-Z][a-z]+[A-Z]\w*|[b-zB-HJ-Z]"
)  # acronyms, numbers, names of software, variables


def cipher(text: str, seed: int) -> str:
    """Rewrites `text` in a random script. The same seed gives the same text."""
    chance = random.Random(seed)
    spaced = (_LATIN, _LATIN, _LATIN, _LATIN, _CYRILLIC, _GREEK, _ARABIC, _HEBREW, _DEVANAGARI, _BENGALI)
    kind = chance.randrange(16)
    if kind < len(spaced):
        return _substitute(text, spaced[kind], chance)
    return _condense(text, ("han", "han", "kana", "kana", "hangul", "thai")[kind - len(spaced)], chance)


def _substitute(text: str, alphabet: str, chance: random.Random) -> str:
    """Exchanges each letter, the same one always for the same."""
    letters = {
        letter: chance.choice(alphabet) for letter in sorted({letter for letter in text.lower() if letter.isalpha()})
    }
    longer = 1 + 0.25 * chance.random()
    rewritten = []
    for piece in _PIECE.findall(text):
        if not piece.isalpha() or (_KEPT.fullmatch(piece) and chance.random() < 0.9):
            rewritten.append(piece)
            continue
        word = "".join(letters[letter] for letter in piece.lower())
        word += "".join(chance.choice(alphabet) for _ in range(int(len(word) * (longer - 1) + chance.random())))
        rewritten.append(word.capitalize() if piece[0].isupper() else word)
    joined = "".join(rewritten)
    if alphabet is _ARABIC:
        return joined.translate({ord(","): "،", ord("?"): "؟", ord(";"): "؛"})
    if alphabet in (_DEVANAGARI, _BENGALI) and joined.endswith(".") and chance.random() < 0.8:
        return joined[:-1] + "।"
    return joined


def _condense(text: str, script: str, chance: random.Random) -> str:
    """Writes each word in a few characters, mostly without spaces between; short words mostly vanish."""
    signs = {"han": _HAN, "kana": _HAN + 12 * _KANA, "hangul": _HANGUL, "thai": tuple(_THAI)}[script]
    per_letter = {"han": 0.27, "kana": 0.4, "hangul": 0.42, "thai": 0.8}[script]
    comma = chance.choice("、，" if script != "kana" else "、") if script in ("han", "kana") else ","
    wide = script in ("han", "kana")
    stopped = chance.random() < 0.6
    rewritten = ""
    latin_before = False
    for piece in _PIECE.findall(text):
        if piece.isspace():
            rewritten += " " if script == "hangul" and rewritten and not rewritten.endswith(" ") else ""
        elif not piece.isalpha() or not piece.isascii() or (_KEPT.fullmatch(piece) and chance.random() < 0.9):
            if not piece.isascii() and piece.isalpha():
                rewritten += "".join(chance.choice(signs) for _ in piece)
                latin_before = False
            elif wide and piece in ",.?!:":
                rewritten += {",": comma, ".": "。", "?": "？", "!": "！", ":": "："}[piece]
                latin_before = False
            else:
                glued = piece.isalnum() and wide and rewritten and chance.random() < 0.5 and not latin_before
                rewritten += (" " if glued else "") + piece + ("" if script == "hangul" or piece != "," else " ")
                latin_before = piece.isalnum()
        elif len(piece) > 3 or chance.random() < 0.25:
            length = max(1, round(len(piece) * per_letter + chance.random() - 0.5))
            rewritten += "".join(chance.choice(signs) for _ in range(length))
            latin_before = False
    rewritten = re.sub(r"\s+([,.?!])", r"\1", rewritten.strip())
    if rewritten.endswith(("。", ".")) and not stopped:
        rewritten = rewritten[:-1]
    return rewritten.rstrip("?") if script == "thai" and chance.random() < 0.5 else rewritten
