"""The rule as text, and its versions: the same configuration as in the workbench."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from opssight.core.errors import Failure, InvalidInput
from opssight.web.parts import DiffLine
from opssight.web.views import one_or_404
from syncs.copy.forms.rule_form import Draft, Names
from syncs.copy.forms.yaml_text import config_to_yaml, draft_to_yaml, read_yaml
from syncs.copy.plan.linediff import unified_or_words
from syncs.copy.rules.file_config import read_version
from syncs.copy.saved import states
from syncs.copy.views.base import RulePage, placed
from syncs.copy.views.difflines import diff_lines
from syncs.copy.views.looking import Looking
from syncs.copy.views.workbench import Workbench
from syncs.models import JobVersion

ROWS = 50


class YamlPage(Workbench):
    """The configuration as YAML. POST brings what stands in the form, or the text to use."""

    template_name = "copy/yaml.html"
    tab = "copy_yaml"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.refuse_made_from_file()
        return self.text_page(draft_to_yaml(self.stored_draft(), self.names))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.refuse_made_from_file()
        text = request.POST.get("text")
        if text is None:
            return self.text_page(draft_to_yaml(Draft.from_post(request.POST), self.names))
        text = text.replace("\r\n", "\n")
        try:
            draft = Draft.from_config(read_yaml(text, self.names), self.names)
        except InvalidInput as error:
            return self.text_page(text, [placed(*problem)[1] for problem in error.problems])
        do = request.POST.get("do", "")
        self.template_name = "copy/workbench.html"
        self.tab = "copy_rule"
        if do in ("save-next", "save-now"):
            return self.save(draft, Looking(), "now" if do == "save-now" else "next")
        return self.page(draft, Looking())

    def text_page(self, text: str, problems: Sequence[str] = ()) -> HttpResponse:
        context = self.get_context_data(
            text=text,
            problems=problems,
            rows=min(max(text.count("\n") + 2, 18), 40),
            yaml_url=self.address("copy_yaml"),
            based_on=self.request.POST.get("based_on") or self.live_number(),
        )
        return self.render_to_response(context, status=422 if problems else 200)


@dataclass(frozen=True)
class VersionRow:
    version: JobVersion
    live: bool
    chosen: bool
    who: str


class VersionsPage(RulePage):
    """All versions, newest first, and what changed in the chosen one (`?version=3`).

    POST makes what an earlier one says the current version.
    """

    template_name = "copy/versions.html"
    tab = "copy_versions"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        job, number = self.saved, request.POST.get("version", "")
        wanted = one_or_404(job.versions.all(), number=number).number
        try:
            job, _ = states.roll_back(self.principal, job, wanted)
        except Failure as failure:
            messages.error(request, _said(failure))
        else:
            new = job.version.number if job.version else 0
            messages.success(request, f"Version {new} says what version {wanted} said, and is in force now.")
        return HttpResponseRedirect(reverse("copy_versions", args=[job.pk]))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        job = self.saved
        newest = list(job.versions.select_related("created_by").order_by("-number")[:ROWS])
        wanted = self.request.GET.get("version", "")
        chosen = one_or_404(job.versions.all(), number=wanted) if wanted else next(iter(newest), None)
        rows = [
            VersionRow(
                v, v.pk == job.version_id, chosen is not None and v.pk == chosen.pk, str(v.created_by or "")
            )
            for v in newest
        ]
        lines = self._changes(chosen) if chosen else []
        return super().get_context_data(rows=rows, chosen=chosen, lines=lines, **kwargs)

    def _changes(self, version: JobVersion) -> list[DiffLine]:
        before = self.saved.versions.filter(number__lt=version.number).order_by("-number").first()
        old = _text(before, self.names) if before else []
        return diff_lines(unified_or_words(old, _text(version, self.names), context=3))


def _said(failure: Failure) -> str:
    """The sentence, with what is wrong where that is known."""
    problems = failure.problems if isinstance(failure, InvalidInput) else []
    return " ".join([failure.sentence, *(text for _, text in problems if text != failure.sentence)])


def _text(version: JobVersion, names: Names) -> list[str]:
    return config_to_yaml(read_version(version.config), names).splitlines()
