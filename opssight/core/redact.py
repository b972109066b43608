"""Take secrets out of text that is logged, stored or shown.

Two nets: shapes that give a secret away wherever it stands, and the values that this process has in
use, each told by `register()`.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from urllib.parse import quote

MASK = "***"

# Shorter values would take ordinary words out of every line.
_SHORTEST = 6
_MOST = 1000

# Texts come from other machines, so each expression takes time in proportion to the length of the text:
# what may stand before a decisive word is short, and what was read once is not read again.
_SHAPES = re.compile(
    r"\b(?:gh[opsur]_[A-Za-z0-9]{16,}|github_pat_\w{16,}|gl(?:pat|ptt|dt|rt|cbt|ft|oas|soat)-[\w.-]{16,}"
    r"|AT(?:BB|ATT|CTT)[\w=-]{16,}|xox[a-z]-[\w-]{10,}|xapp-[\w-]{10,}"
    r"|osp_\w{6,}(?:\.\w+)?|(?:AKIA|ASIA)[A-Z0-9]{16}|sk-[\w-]{20,}"
    r"|eyJ[\w-]{8,}+(?:\.[\w-]{8,}+\.[\w-]*+)?)"
    r"|(?<=hooks\.slack\.com/)[\w/]+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)
# The user name alone is no secret for ssh, where it is nearly always "git".
_USERINFO = re.compile(r"(?<!ssh)(://)[^/\s\"'<>]+@")
_SSH_PASSWORD = re.compile(r"(ssh://[^/\s\"'<>:@]+:)[^/\s\"'<>]+@")
_HEADER = re.compile(
    r"(?i)\b((?:proxy-)?authorization|(?:private|job|deploy|access)-token|x-[a-z-]{0,40}?(?:key|token))"
    r"([\"']?\s*[:=]\s*[\"']?)(?:((?:basic|bearer|token|negotiate|digest)\s+)[^\s\"',]+|[^\s\"',]+)"
)
_COOKIE = re.compile(r"(?i)\b((?:set-)?cookie[\"']?\s*[:=]\s*[\"']?)[^\r\n\"']+")
_SCHEME = re.compile(r"(?i)\b(bearer|basic)\s+(?=[A-Za-z._~+/-]*[0-9=])[A-Za-z0-9._~+/=-]{12,}")
_PAIR = re.compile(
    r"(?i)((?:[?&\s,{(]|^)[\"']?(?:[a-z]+[_-]){0,10}"
    r"(?:password|passwd|secret|token|signature|api[_-]?key|private[_-]?key)[\"']?"
    r"(?:=[\"']?|[\"']\s*:\s*[\"']))[^\s\"',}&)]+"
)

_lock = threading.Lock()
_registered: OrderedDict[str, None] = OrderedDict()


def register(value: str) -> None:
    """From now on take `value` out of every text, also in its URL-quoted form.

    Only the newest thousand are kept; a value shorter than six characters is not.
    """
    if len(value) < _SHORTEST:
        return
    with _lock:
        # A key file or a PEM is often quoted line by line; the lines that frame it are no secret.
        several = value.splitlines() if "\n" in value else []
        lines = [line for line in several if len(line) >= 16 and not line.startswith("-----")]
        for form in dict.fromkeys([value, quote(value, safe=""), *lines]):
            _registered[form] = None
            _registered.move_to_end(form)
        while len(_registered) > _MOST:
            _registered.popitem(last=False)


def redact(text: str) -> str:
    """`text` with every secret in it replaced by `***`."""
    with _lock:
        found = [value for value in _registered if value in text]
    for value in sorted(found, key=len, reverse=True):  # a value may contain another
        text = text.replace(value, MASK)
    text = _SHAPES.sub(MASK, text)
    text = _USERINFO.sub(rf"\1{MASK}@", text)
    text = _SSH_PASSWORD.sub(rf"\1{MASK}@", text)
    text = _HEADER.sub(lambda m: f"{m[1]}{m[2]}{m[3] or ''}{MASK}", text)
    text = _COOKIE.sub(rf"\1{MASK}", text)
    text = _SCHEME.sub(rf"\1 {MASK}", text)
    return _PAIR.sub(rf"\1{MASK}", text)
