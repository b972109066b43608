"""How the API of Gitea and Forgejo is spoken to: addresses, credentials, pages, what its errors say."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from opssight.core.errors import Failure, InvalidInput, NotFound, PermanentFailure
from repos.git.remote import Remote
from repos.providers.http import Api
from repos.providers.paging import by_number
from repos.providers.wire import Dialect

MOST_ITEMS = 50  # of a page; a server may give fewer without saying so
_API = "/api/v1"
_PAGE = re.compile(r'<[^<>]*[?&]page=(\d{1,5})(?:&[^<>]*)?>;\s*rel="(next|last)"')
_SCOPES = re.compile(r"required scope\(s\)[^\[]{0,20}\[([a-z:, ]{1,200})\]")
_WAITS = (0.1, 0.2, 0.4, 0.8)  # seconds, between five tries


def base_of(text: str) -> str:
    """The address that a person entered, without what does not belong there. Raises `InvalidInput`."""
    base = text.rstrip("/").removesuffix(_API)
    try:
        remote = Remote.from_url(f"{base}/x")
    except InvalidInput as error:
        raise _bad_url(error.sentence) from None
    if remote.scheme not in ("https", "http") or urlsplit(remote.url).username is not None:
        raise _bad_url("The address of the server begins with https://, such as https://codeberg.org.")
    return remote.url.removesuffix("/x")


def api_of(base: str) -> str:
    return f"{base}{_API}"


def dialect(base: str) -> Dialect:
    """Sentences call the server by its name: nobody can know whether it is a Gitea or a Forgejo."""
    return Dialect(
        label=urlsplit(base).netloc, authorize=_authorize, said=said, refusal=refusal, link=own_link
    )


def _authorize(token: str) -> Mapping[str, str]:
    return {"Authorization": f"token {token}"}  # tokens of OAuth too


def said(data: Any) -> str:
    """The message of an error."""
    words = data.get("message") if isinstance(data, dict) else ""
    text = words.strip()[:280] if isinstance(words, str) else ""
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def refusal(headers: Mapping[str, str], said: str) -> str:
    """What a 403 means that names the scopes of which the token has none."""
    scopes = _SCOPES.search(said)
    if scopes is None:
        return ""
    return (
        f"The token needs the scope {scopes[1]} for this. Make a token with it, and enter that in the "
        "connection's settings."
    )


def own_link(url: str, header: str) -> str:
    """The Link header with the address that was asked: the server's are made of its ROOT_URL, which may
    be another one than the address it is reached by.
    """
    found = _PAGE.findall(header)
    return ", ".join(f'<{by_number(url, int(page))}>; rel="{relation}"' for page, relation in found)


def by_id(external_id: str) -> str:
    if not external_id.isascii() or not external_id.isdecimal():
        raise NotFound("A repository of Gitea or Forgejo is known by a number, which this is not.")
    return f"repositories/{external_id}"


def object_of(data: object, what: str) -> Mapping[str, Any]:
    """`data`, if it is a JSON object. `what` says in a sentence what was asked for."""
    if isinstance(data, dict):
        return data
    raise odd(what)


def odd(what: str) -> PermanentFailure:
    return PermanentFailure(f"The server answered with something that is not {what}. Check its address.")


def counted(
    api: Api, path: str, params: Mapping[str, str | int], items: Callable[[Any], Any] = lambda data: data
) -> Iterator[Any]:
    """Everything in a list that comes without links: until X-Total-Count is reached or a page is empty."""
    seen, extent = 0, api.extent()
    for page in itertools.count(1):
        extent.page(path)
        data, headers = api.get_with_headers(path, {**params, "page": page, "limit": MOST_ITEMS})
        found = items(data)
        if not isinstance(found, list):
            raise odd("a list")
        extent.found(len(found))
        yield from found
        seen += len(found)
        total = headers.get("x-total-count", "")
        if not found or (total.isascii() and total.isdecimal() and seen >= int(total[:9])):
            return


def patiently(ask: Callable[[], Any], again: Callable[[Failure], bool]) -> Any:
    """What `ask` answers; asked a few times within two seconds while the failure says to try `again`."""
    for seconds in _WAITS:
        try:
            return ask()
        except Failure as failure:
            if not again(failure):
                raise
        time.sleep(seconds)
    return ask()


def segment(text: str) -> str:
    """A name as one part of a path."""
    return quote(text, safe="")


def _bad_url(sentence: str) -> InvalidInput:
    return InvalidInput(sentence, [("url", sentence)])
