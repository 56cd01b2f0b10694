"""Text that is safe to show: one line, visible characters, a bounded length.

Names come from feeds that anyone may fill: they may hold control characters, marks that
turn the direction of writing, piles of accents, or a novel.
"""

import unicodedata

_JOINER = "\u200d"  # holds families and flags of emoji together
_MARKS_IN_A_ROW = 4
_ELLIPSIS = "…"


def clean(text: str, limit: int) -> str:
    """One line of at most ``limit`` characters; a cut never splits what is one sign."""
    kept: list[str] = []
    marks = 0
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        if character.isspace() or category in ("Zl", "Zp"):
            character, category = " ", "Zs"
            if not kept or kept[-1] == " ":
                continue
        elif category[0] == "C" and character != _JOINER:
            continue  # control, direction, private, unassigned, half a pair
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks <= _MARKS_IN_A_ROW:
            kept.append(character)
    return _cut("".join(kept).strip(), limit)


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    end = limit - len(_ELLIPSIS)
    while end > 0 and _is_inside(text, end):
        end -= 1
    return text[:end].rstrip() + _ELLIPSIS


def _is_inside(text: str, at: int) -> bool:
    """Whether a cut before ``text[at]`` would split what is seen as one sign."""
    after, before = text[at], text[at - 1]
    if before == _JOINER or after == _JOINER:
        return True
    if unicodedata.category(after) in ("Mn", "Me", "Mc", "Sk"):
        return True
    if _is_flag_letter(after) and _is_flag_letter(before):
        first = at
        while first > 0 and _is_flag_letter(text[first - 1]):
            first -= 1
        return (at - first) % 2 == 1
    return False


def _is_flag_letter(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
