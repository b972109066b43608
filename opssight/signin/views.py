"""The pages of signing in with a forge, and where forges send people back to."""

from __future__ import annotations

import secrets
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views import View
from django.views.decorators.cache import never_cache
from social_core.exceptions import (
    AuthAssociationError,
    AuthCanceled,
    AuthInputError,
    AuthSessionError,
    SocialAuthBaseException,
)

from opssight.accounts import invitations, throttle
from opssight.accounts.forms import sender_of, take_places
from opssight.accounts.middleware import TEAM_KEY
from opssight.accounts.models import User
from opssight.accounts.views import SigninView
from opssight.core.errors import Failure, InvalidInput
from opssight.core.words import seconds
from opssight.signin import links
from opssight.signin.backends import backend_for
from opssight.signin.strategy import Strategy
from opssight.web import attempts
from repos.instances import Instance, instance_of
from repos.views.oauth import OAuthCallback

KEY: Final = "signin"
_LONGEST: Final = 2_000  # characters
_BACKEND: Final = "opssight.accounts.backends.EmailBackend"  # whose sessions they are
_NOT_OURS: Final = "This sign-in was not started here, or it is too old. Start again."


class SigninPage(SigninView):
    """E-mail and password, and a button for each forge that people may sign in with."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(sign_in_with=links.offered(), **kwargs)


@method_decorator(never_cache, name="dispatch")
class StartSignin(View):
    """POST sends the browser to the forge.

    Whoever is signed in links the account there to this one, and proves with the password that it is
    theirs: a link outlives the session of a browser that was left open.
    """

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        link = str(request.user.pk) if isinstance(request.user, User) else ""
        try:
            if isinstance(request.user, User):
                _prove(request, request.user)
            attempt = {
                "state": secrets.token_urlsafe(32),
                "provider": _short(request, "provider"),
                "url": _short(request, "url"),
                "next": _own(request, _short(request, "next")),
                "link": link,
                "place": "" if link else _place(request),
                "session": {},
            }
            instance = _instance(attempt)
            address = backend_for(instance, Strategy(instance, attempt)).auth_url()
        except Failure as failure:
            return _refused(request, failure)
        attempts.keep(request, KEY, attempt)
        words = {"label": instance.label, "name": instance.name}
        return attempts.send_away(request, "registration/to_forge.html", address, **words)


@method_decorator(never_cache, name="dispatch")
class Callback(View):
    """Where a forge sends people back to: to sign in, to link, or to connect a team's repositories."""

    http_method_names = ["get"]

    def get(self, request: HttpRequest, provider: str) -> HttpResponse:
        attempt = attempts.take(request, KEY)
        if attempt is None:
            if not request.user.is_authenticated:
                return _refused(request, InvalidInput(_NOT_OURS))
            answer: HttpResponse = OAuthCallback.as_view()(request, provider=provider)
            return answer
        try:
            return self.finished(request, attempt, provider)
        except Failure as failure:
            return _refused(request, failure)

    def finished(self, request: HttpRequest, attempt: dict[str, Any], provider: str) -> HttpResponse:
        user = request.user if isinstance(request.user, User) else None
        if attempt["provider"] != provider or attempt["link"] != (str(user.pk) if user else ""):
            raise InvalidInput(_NOT_OURS)
        instance = _instance(attempt)
        found = _completed(request, attempt, instance, user)
        if user is not None:
            messages.success(request, f"You can sign in with {instance.name} from now on.")
            return redirect("account")
        if attempt["place"]:
            throttle.give_back(attempt["place"])
        login(request, found, backend=_BACKEND)
        return HttpResponseRedirect(self._then(request, attempt, found))

    def _then(self, request: HttpRequest, attempt: dict[str, Any], user: User) -> str:
        """Where to go: a new account that was made for an invitation begins in its team."""
        secret = request.session.get(invitations.SESSION_KEY, "")
        joined = user.memberships.exclude(team__personal_user=user).first() if secret else None
        if joined is not None and not _is_open(secret):
            del request.session[invitations.SESSION_KEY]
            request.session[TEAM_KEY] = str(joined.team_id)
            return "/"
        found: str = attempt["next"]
        return found or str(settings.LOGIN_REDIRECT_URL)


class Unlink(View):
    """POST: a forge does not sign this account in any more."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not isinstance(request.user, User):
            return redirect("login")
        link = links.of(request.user).filter(pk=pk).first()
        if link is None:
            raise Http404
        try:
            links.unlink(request.user, link)
        except Failure as failure:
            messages.error(request, failure.sentence)
        else:
            messages.success(request, "Unlinked.")
        return redirect("account")


def _completed(request: HttpRequest, attempt: dict[str, Any], instance: Instance, user: User | None) -> User:
    """The account that the forge's answer belongs to. Raises a `Failure`."""
    given = {name: str(value)[:2_000] for name, value in request.GET.items()}
    secret = "" if user else request.session.get(invitations.SESSION_KEY, "")
    backend = backend_for(instance, Strategy(instance, attempt, given, secret))
    try:
        found = backend.auth_complete(user=user)
    except AuthCanceled:
        raise InvalidInput(f"You did not allow it at {instance.name}, so nobody was signed in.") from None
    except AuthAssociationError:
        raise InvalidInput(
            f"This account at {instance.name} signs in to another account here. Unlink it there first."
        ) from None
    except (AuthSessionError, AuthInputError):
        raise InvalidInput(_NOT_OURS) from None
    except (SocialAuthBaseException, IntegrityError):
        raise InvalidInput(f"Signing in with {instance.name} did not work. Try again.") from None
    if not isinstance(found, User):
        raise InvalidInput(f"Signing in with {instance.name} did not work. Try again.")
    return found


def _instance(attempt: dict[str, Any]) -> Instance:
    if settings.SIGN_IN == "off":
        raise InvalidInput("Signing in with a forge is switched off here.")
    return instance_of(attempt["provider"], attempt["url"], github_apps=True)


def _place(request: HttpRequest) -> str:
    """A place among the attempts of this sender. InvalidInput when there is none left."""
    try:
        return throttle.take(f"signin address {sender_of(request)}", settings.SIGNIN_RATE)
    except throttle.TooMany as error:
        raise _too_many(error) from None


def _prove(request: HttpRequest, user: User) -> None:
    """InvalidInput unless the password of the account was given, if it has one; as slow as signing in."""
    if not user.has_usable_password():
        return
    try:
        places = take_places(user.email, sender_of(request))
    except throttle.TooMany as error:
        raise _too_many(error) from None
    if not user.check_password(request.POST.get("password", "")):
        raise InvalidInput("The password is not right, so nothing was linked.")
    for place in places:
        throttle.give_back(place)


def _too_many(error: throttle.TooMany) -> InvalidInput:
    return InvalidInput(f"Too many attempts. Try again in {seconds(max(error.seconds, 10))}.")


def _short(request: HttpRequest, name: str) -> str:
    """A value of the form, or "" for one that is too long: what strangers enter is kept in sessions."""
    value: str = request.POST.get(name, "")
    return value if len(value) <= _LONGEST else ""


def _own(request: HttpRequest, path: str) -> str:
    safe = url_has_allowed_host_and_scheme(path, {request.get_host()}, require_https=request.is_secure())
    return path if safe else ""


def _is_open(secret: str) -> bool:
    try:
        invitations.opened(secret)
    except Failure:
        return False
    return True


def _refused(request: HttpRequest, failure: Failure) -> HttpResponse:
    messages.error(request, failure.sentence)
    return redirect("account" if request.user.is_authenticated else "login")
