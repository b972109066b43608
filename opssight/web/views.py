"""What every page of a team shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.views.generic import TemplateView

from opssight.accounts.middleware import AccountRequest
from opssight.accounts.models import Role
from opssight.accounts.scope import Principal
from opssight.core.errors import Failure
from opssight.web.parts import Crumb

M = TypeVar("M", bound=Model)

ROWS: Final = 50  # of one page of a list


class TeamPage(LoginRequiredMixin, TemplateView):
    """A page of the team one works in. `role` is asked of every request, `post_role` of those that write.

    A missing role answers 404, like an object that is not there: nothing tells what others have.
    """

    request: AccountRequest
    role = Role.VIEWER
    post_role = Role.OPERATOR

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.user.is_authenticated:
            needed = self.role if request.method in ("GET", "HEAD", "OPTIONS") else self.post_role
            if not self.principal.may(needed, self.request.team.pk):
                raise Http404
        return super().dispatch(request, *args, **kwargs)

    @property
    def principal(self) -> Principal:
        return self.request.principal

    def crumbs(self) -> Sequence[Crumb]:
        """Where this page is, from the team down."""
        return ()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        context["crumbs"] = [Crumb(str(self.request.team), "/"), *self.crumbs()]
        return context


def page_of(request: HttpRequest, rows: QuerySet[Any], size: int = ROWS) -> Page[Any]:
    """The page of `?page=` of the rows; the nearest one for a number that is none."""
    return Paginator(rows, size).get_page(request.GET.get("page"))


def one_or_404(rows: QuerySet[M], **lookup: Any) -> M:
    """The row, or 404: also for an id that is not one."""
    try:
        found = rows.filter(**lookup).first()
    except (ValueError, TypeError):
        found = None
    if found is None:
        raise Http404
    return found


def add_failure(form: Any, failure: Failure) -> None:
    """Put the problems of a Failure at the fields of a form they belong to, else above the form."""
    problems: list[tuple[str, str]] = getattr(failure, "problems", [("", failure.sentence)])
    for where, message in problems:
        field = where if where in form.fields else None
        form.add_error(field, message)


def no_change() -> HttpResponse:
    """The answer to a poll of a fragment in which nothing changed: htmx leaves it as it is."""
    return HttpResponse(status=204)
