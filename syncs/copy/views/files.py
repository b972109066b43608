"""One file of another copier: what of it is in force, its rules, its versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import OuterRef, Prefetch, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from opssight.accounts.models import Role
from opssight.accounts.scope import visible_to
from opssight.core.errors import Conflict, Failure, InvalidInput
from opssight.web.parts import Crumb, DiffLine, Fact
from opssight.web.views import TeamPage, one_or_404
from syncs import selectors
from syncs.copy.files import following as config_files
from syncs.copy.files.asked import asked_texts
from syncs.copy.forms.option_fields import plain_lines
from syncs.copy.models import ConfigFile, ConfigVersion, CopyTarget
from syncs.copy.plan.linediff import unified_or_words
from syncs.copy.saved import states
from syncs.copy.views.arrival import Answer
from syncs.copy.views.base import placed
from syncs.copy.views.difflines import diff_lines
from syncs.copy.views.rules import RuleRow, rule_rows
from syncs.models import Run

ROWS = 50
WAIT = 5.0  # seconds that saving waits for what a file refers to


@dataclass(frozen=True)
class OwnText:
    """A text of a pasted file, to be changed here."""

    path: str
    text: str


class FilePage(TeamPage):
    """`?version=3` shows what that version changed. POST changes the file by `do`."""

    template_name = "copy/file.html"

    @cached_property
    def file(self) -> ConfigFile:
        """404 for a file of another team."""
        id: UUID = self.kwargs["file_id"]
        rows = visible_to(ConfigFile.objects.all(), self.principal).filter(team=self.request.team.pk)
        rows = rows.select_related("repository__connection", "version", "team", "created_by")
        found: ConfigFile = one_or_404(rows, pk=id)
        return found

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Copy", reverse("copy")), Crumb(self.file.name)]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        do, file = request.POST.get("do", ""), self.file
        try:
            said = self._done(do, file)
        except InvalidInput as error:
            context = self.get_context_data(
                problems=[placed(*problem) for problem in error.problems], typed=self._typed()
            )
            return self.render_to_response(context, status=422)
        except Failure as failure:
            messages.error(request, failure.sentence)
        else:
            messages.success(request, said)
        there = ConfigFile.objects.filter(pk=file.pk).exists()
        return HttpResponseRedirect(reverse("copy_file", args=[file.pk]) if there else reverse("copy"))

    def _done(self, do: str, file: ConfigFile) -> str:
        """Do it, and say what was done. Raises a `Failure`."""
        if do == "reload":
            config_files.look_again(self.principal, file)
            return "It is read again now."
        if do == "delete":
            config_files.delete(self.principal, file)
            return f"{file.name} and its rules are deleted. What they copied stays where it is."
        if do == "mode":
            shadow = self.request.POST.get("mode") != "enabled"
            mode = ConfigFile.Mode.SHADOW if shadow else ConfigFile.Mode.ENABLED
            config_files.set_mode(self.principal, file, mode)
            return f"Its rules are {mode.value}. {states.MEANS[mode.value]}"
        if do == "text":
            return self._changed(file)
        wanted = one_or_404(file.versions.all(), number=self.request.POST.get("version", "")).number
        file = config_files.roll_back(self.principal, file, wanted)
        number = file.version.number if file.version else 0
        return f"Version {number} says what version {wanted} said, and is in force now."

    def _changed(self, file: ConfigFile) -> str:
        source = (file.source_name, file.source_branch) if file.source_name else None
        answer = asked_texts(self.principal, file.team, self._typed(), source, wait=WAIT)
        if answer.value is None:
            raise Conflict(answer.sentence or "What it refers to is being fetched. Save again in a moment.")
        note = self.request.POST.get("note", "").strip()
        file = config_files.change(self.principal, file, answer.value, note)
        return f"Version {file.version.number if file.version else 0} is in force."

    def _typed(self) -> dict[str, str]:
        post = self.request.POST
        rows = zip(post.getlist("path"), post.getlist("text"), strict=False)
        return {path[:1000]: plain_lines(text) for path, text in rows}

    # --- the page ----------------------------------------------------------------------------------

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        file = self.file
        versions = list(file.versions.select_related("created_by").defer("texts").order_by("-number")[:ROWS])
        wanted = self.request.GET.get("version", "")
        chosen = one_or_404(file.versions.all(), number=wanted) if wanted else None
        waits = file.due_at is not None and not file.seen_digest
        modes = [("shadow", "shadow"), ("enabled", "enabled")]
        context = {
            "file": file,
            "rules": self._rules(),
            "versions": versions,
            "chosen": chosen,
            "lines": self._changes(chosen) if chosen else [],
            "problems": [placed(*problem) for problem in file.problems],
            "own": self._own(),
            "facts": self._facts(),
            "reading": waits,
            "modes": [Answer(key, label, states.MEANS[key], key == file.mode) for key, label in modes],
            "may_write": self.principal.may(Role.OPERATOR, file.team_id),
        }
        if typed := kwargs.pop("typed", None):
            context["own"] = [OwnText(path, text) for path, text in typed.items()]
        return super().get_context_data(**{**context, **kwargs})

    def _rules(self) -> list[RuleRow]:
        newest = Run.objects.filter(job=OuterRef("pk")).order_by("-id").values("pk")[:1]
        targets = CopyTarget.objects.select_related("repository__connection", "state").order_by("id")
        rows = selectors.jobs(self.principal, kind="copy").filter(copy_rule__config_file=self.file)
        rows = rows.annotate(last_run=Subquery(newest)).select_related("copy_rule__source__connection")
        return rule_rows(rows.prefetch_related(Prefetch("copy_rule__targets", queryset=targets)))

    def _own(self) -> list[OwnText]:
        file = self.file
        if file.repository is not None or file.version is None:
            return []
        return [OwnText(path, text) for repository, _, path, text in file.version.texts if not repository]

    def _facts(self) -> list[Fact]:
        file = self.file
        number = f"version {file.version.number}" if file.version else "none yet"
        facts = [Fact("In force", number, state="warning" if file.sentence else "")]
        if file.version:
            facts.append(Fact("Format", file.version.format))
        if file.repository is not None:
            facts.append(Fact("Kept in", f"{file.repository.full_name} {file.branch}"))
            facts.append(Fact("Path", file.path))
        facts.append(Fact("Imported by", file.created_by.email if file.created_by else "nobody who is here"))
        return facts

    def _changes(self, version: ConfigVersion) -> list[DiffLine]:
        before = self.file.versions.filter(number__lt=version.number).order_by("-number").first()
        old = _lines(before) if before else []
        return diff_lines(unified_or_words(old, _lines(version), context=3))


def _lines(version: ConfigVersion) -> list[str]:
    """All texts of a version, each under its name when there are several."""
    found: list[str] = []
    for repository, branch, path, text in version.texts:
        if len(version.texts) > 1:
            found.append(f"# {repository} {branch} {path}" if repository else f"# {path}")
        found += text.splitlines()
    return found
