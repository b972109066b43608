"""The pages of the gallery, with one invented installation as data."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path

from opssight.web.parts import NavItem
from tests.web import sample


def shell(request: HttpRequest) -> dict[str, Any]:
    """What the product's own context processor gives to every page."""
    user = SimpleNamespace(is_authenticated=True, email="mira.holt@acme.example")
    return {
        "nav": sample.nav(request.path),
        "team": "Acme / Platform",
        "teams": sample.TEAMS,
        "worker": sample.WORKER_NONE if "no-worker" in request.GET else sample.WORKER,
        "user": user,
        "user_name": "Mira Holt",
        "initials": "MH",
        "role": "operator",
        "user_links": [NavItem("API tokens", "/", "key")],
    }


def gallery(request: HttpRequest) -> HttpResponse:
    form = sample.SampleForm(request.GET or None, prefix="s")
    bad = sample.SampleForm({}, prefix="b")
    page = Paginator(range(214), 10).get_page(request.GET.get("page"))
    return render(
        request,
        "components/gallery.html",
        {
            "s": sample,
            "states": sample.STATES,
            "form": form,
            "bad": bad,
            "page": page,
            "messages": sample.MESSAGES,
        },
    )


def page(request: HttpRequest, name: str) -> HttpResponse:
    crumbs = sample.CRUMBS.get(name, sample.CRUMBS["overview"])
    polling = {"live": True, "asked": 0, "words": "waiting", "endless": "endless" in request.GET}
    return render(request, f"gallery/{name}.html", {"s": sample, "crumbs": crumbs, **polling})


def live(request: HttpRequest, asked: int) -> HttpResponse:
    """A part that asks three times, then has its last word."""
    endless = "endless" in request.GET
    over = asked >= 2 and not endless
    words = f"done after {asked + 1}" if over else f"asked {asked + 1}"
    context = {"live": not over, "asked": asked + 1, "words": words, "endless": endless}
    return render(request, "gallery/_live.html", context)


def login(request: HttpRequest) -> HttpResponse:
    form = sample.LoginForm(request.POST or None)
    return render(request, "registration/login.html", {"form": form})


def error(request: HttpRequest, code: int) -> HttpResponse:
    return render(request, f"{code}.html", status=code)


urlpatterns = [
    path("", gallery),
    path("page/<name>/", page),
    path("live/<int:asked>/", live),
    path("login/", login),
    path("logout/", login, name="logout"),
    path("error/<int:code>/", error),
]
