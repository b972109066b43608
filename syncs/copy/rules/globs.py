"""Globs as regular expressions for RE2, with the meaning that doublestar 4 gives them on git paths.

`*` and `?` stay within one name and take leading dots; `**` alone between slashes takes any number
of folders, none included, so `a/**` takes `a` itself; glued to other text it is a plain `*`.
`[…]` is a class, negated by `!` or `^`; `{a,b}` are alternatives; a backslash makes the next
character plain. There is no negation by a leading `!` and no class by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from opssight.core.errors import InvalidInput

MAX_ALTERNATIVES: Final = 500
NEVER: Final = r"\b\B"  # a regular expression that matches nothing

_ANY: Final = "[^/]*"
_STAR: Final = "*"
_ONE: Final = "?"
_SLASH: Final = "/"
# What may be left of a glob where the path is at its end: `a/**` takes `a`.
_MAY_BE_MISSING: Final = frozenset({"*", "**", "/**", "**/", "/**/"})


@dataclass(frozen=True)
class _Token:
    """One unit of a glob without alternatives: `*`, `?`, `/`, or a piece that `regex` stands for."""

    kind: str
    regex: str = ""
    opens_alternative: bool = False  # the first one of an alternative of `{…}`


def glob_to_re2(pattern: str) -> str:
    """An anchored regular expression for `pattern`. Raises `InvalidInput` where it is malformed."""
    alternatives = [
        _translated(_tokens(text, starts), open_end=len(text) in starts)
        for text, starts in _expanded(pattern)
    ]
    return rf"(?s)\A(?:{'|'.join(dict.fromkeys(alternatives))})\z"


def static_prefix(pattern: str) -> str:
    """The text that every path taken by `pattern` begins with: what stands before its first special
    character, with backslashes taken away."""
    plain: list[str] = []
    characters = iter(pattern)
    for char in characters:
        if char in "*?[{":
            break
        plain.append(next(characters, "") if char == "\\" else char)
    return "".join(plain)


def _expanded(pattern: str) -> list[tuple[str, frozenset[int]]]:
    """`pattern` once for each choice of alternatives, with the indexes where a choice begins."""
    pending: list[tuple[str, frozenset[int], int]] = [(pattern, frozenset(), 0)]
    finished: list[tuple[str, frozenset[int]]] = []
    while pending:
        text, starts, index = pending.pop()
        opening = _next_opening(text, index)
        if opening is None:
            finished.append((text, starts))
            continue
        closing = _closing(text, opening)
        after = text[closing + 1 :]
        choices = _choices(text[opening + 1 : closing])
        if len(pending) + len(finished) + len(choices) > MAX_ALTERNATIVES:
            raise InvalidInput(f"The glob has more than {MAX_ALTERNATIVES} alternatives; use several rules.")
        pending += [
            (text[:opening] + choice + after, starts | {opening}, opening) for choice in reversed(choices)
        ]
    return finished


def _next_opening(text: str, index: int) -> int | None:
    """The index of the next `{` that is not plain; refuses a `}` without one."""
    while index < len(text):
        if text[index] == "\\":
            index += 2
        elif text[index] == "[":
            index = _class_end(text, index) + 1
        elif text[index] == "{":
            return index
        elif text[index] == "}":
            raise InvalidInput("The glob has a } without a { before it.")
        else:
            index += 1
    return None


def _closing(text: str, opening: int) -> int:
    depth = 0
    index = opening
    while index < len(text):
        if text[index] == "\\":
            index += 1
        elif text[index] == "{":
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if depth == 0:
                return index
        index += 1
    raise InvalidInput("The glob has a { that is not closed by a }.")


def _choices(inside: str) -> list[str]:
    choices: list[str] = []
    depth = begin = index = 0
    while index < len(inside):
        char = inside[index]
        if char == "\\":
            index += 1
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
        elif char == "," and depth == 0:
            choices.append(inside[begin:index])
            begin = index + 1
        index += 1
    return [*choices, inside[begin:]]


def _class_end(text: str, opening: int) -> int:
    """The index of the `]` that closes the class beginning at `opening`."""
    index = opening + 1
    if index < len(text) and text[index] in "!^":
        index += 1
    if index < len(text) and text[index] == "]":
        raise InvalidInput("The glob has an empty class []; put a character into it.")
    while index < len(text):
        if text[index] == "\\":
            index += 1
        elif text[index] == "]":
            return index
        index += 1
    raise InvalidInput("The glob has a [ that is not closed by a ].")


def _tokens(text: str, starts: frozenset[int]) -> list[_Token]:
    tokens: list[_Token] = []
    index = 0
    while index < len(text):
        begin, char = index, text[index]
        if char == "[":
            index = _class_end(text, index)
            kind, regex = "class", _class_regex(text[begin + 1 : index])
        elif char == "\\":
            index += 1
            if index == len(text):
                raise InvalidInput("The glob ends with a backslash; remove it or write two.")
            kind, regex = _SLASH if text[index] == _SLASH else "plain", _plain(text[index])
        elif char in (_STAR, _ONE, _SLASH):
            kind, regex = char, {_STAR: _ANY, _ONE: "[^/]", _SLASH: "/"}[char]
        else:
            kind, regex = "plain", _plain(char)
        index += 1
        tokens.append(_Token(kind, regex, begin in starts))
    return tokens


def quoted(text: str) -> str:
    """`text` in RE2's syntax, every character standing for itself."""
    return "".join(_plain(char) for char in text)


def _plain(char: str) -> str:
    if not char.isascii() or not char.isprintable():
        return f"\\x{{{ord(char):x}}}"
    return char if char.isalnum() or char in "/_ " else f"\\{char}"


def _class_regex(inside: str) -> str:
    """The class whose text between the brackets is `inside`."""
    negated = inside[0] in "!^"
    members = _members(inside[1:] if negated else inside)
    body = "".join(f"{_plain(low)}-{_plain(high)}" for low, high in members if low <= high)
    if not body:
        return "." if negated else NEVER
    return f"[{'^' if negated else ''}{body}]"


def _members(inside: str) -> list[tuple[str, str]]:
    """The ranges of a class; a single character is a range of one."""
    units = iter(inside)
    # Each character, and whether a backslash made it plain.
    characters = [(next(units), True) if char == "\\" else (char, False) for char in units]
    members: list[tuple[str, str]] = []
    index = 0
    while index < len(characters):
        low = characters[index][0]
        if index + 2 < len(characters) and characters[index + 1] == ("-", False):
            members.append((low, characters[index + 2][0]))
            index += 3
        else:
            members.append((low, low))
            index += 1
    return members


def _translated(tokens: list[_Token], *, open_end: bool) -> str:
    """The regular expression of one expanded glob, without its anchors.

    `open_end`: an alternative of the glob is empty and stands at its end.
    """
    wild = {index for index in range(len(tokens)) if _is_wild(tokens, index)}
    ends = [_until(tokens, wild)]
    for length in range(1, min(4, len(tokens)) + 1):
        rest = tokens[-length:]
        left = len(tokens) - length
        split = open_end or any(token.opens_alternative for token in rest[1:]) or wild & {left - 1, left - 2}
        if not split and "".join(token.kind for token in rest) in _MAY_BE_MISSING:
            ends.append(_until(tokens[:left], wild))
    return "|".join(ends)


def _until(tokens: list[_Token], wild: set[int]) -> str:
    """The regular expression of tokens that take a path to its end; a `*` at the end takes something.

    `wild` are the indexes where a `**` begins that stands alone.
    """
    regex = ""
    index = 0
    while index < len(tokens):
        if index in wild:
            regex += ".*" if index + 2 >= len(tokens) else "(?:.*/)?"
            index += 3
        else:
            at_end = index == len(tokens) - 1 and tokens[index].kind == _STAR
            regex += "[^/]+" if at_end else tokens[index].regex
            index += 1
    return regex


def _is_wild(tokens: list[_Token], index: int) -> bool:
    """Whether a `**` that stands alone between slashes begins at `index`."""
    pair = tokens[index : index + 2]
    if [token.kind for token in pair] != [_STAR, _STAR] or pair[1].opens_alternative:
        return False
    if index + 2 < len(tokens) and tokens[index + 2].kind != _SLASH:
        return False
    alone = index == 0 or tokens[index - 1].kind == _SLASH
    if pair[0].opens_alternative and not alone:
        raise InvalidInput("The glob has ** beside other text in {…}; ** must stand alone between slashes.")
    return alone
