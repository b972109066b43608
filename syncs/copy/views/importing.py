"""Importing the file of another copier: from a repository, pasted, or uploaded. Nothing is saved before it is
looked at: what it makes, what is missing, and what each rule would do now.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from opssight.core.errors import Failure, InvalidInput
from opssight.core.yamlsafe import MAX_BYTES
from opssight.web.parts import Choice, Crumb
from opssight.web.views import TeamPage
from repos import discovery, inventory
from repos.beside import Answer, ask
from repos.models import Connection, Repository
from syncs.copy.files import following as config_files
from syncs.copy.files.asked import (
    asked_repository,
    asked_texts,
    connections_of,
    missing,
    repository_of,
)
from syncs.copy.files.following import Location
from syncs.copy.files.given import PASTED, Given, configs_of, plain_config
from syncs.copy.files.reads import as_text, in_team
from syncs.copy.forms.option_fields import plain_lines
from syncs.copy.forms.rule_form import Names
from syncs.copy.forms.yaml_text import to_yaml
from syncs.copy.models import ConfigFile
from syncs.copy.preview.preview import TargetPreview, preview
from syncs.copy.rules.config import to_data
from syncs.copy.rules.file_config import FileConfig
from syncs.copy.saved.service import resolve
from syncs.copy.saved.states import MEANS
from syncs.copy.views.arrival import Answer as Radio
from syncs.copy.views.base import placed

WAYS: Final = (("repository", "From a repository"), ("paste", "Paste"), ("upload", "Upload"))
MAX_FILES: Final = 50  # that are uploaded together
WAIT: Final = 1.5  # seconds that a page waits for a file


@dataclass(frozen=True)
class Made:
    """A rule that the file makes, and what it would do now at each target."""

    config: FileConfig
    targets: Sequence[TargetPreview]
    text: str  # of a rule made here that does the same; empty: there is none

    @property
    def fetching(self) -> bool:
        return any(one.fetching for one in self.targets)


@dataclass(frozen=True)
class Form:
    """What stands in the form. `texts` are pasted or uploaded ones by their paths."""

    way: str = "repository"
    repository: str = ""
    branch: str = ""
    path: str = ""
    texts: Mapping[str, str] | None = None
    source: str = ""
    source_branch: str = ""
    name: str = ""
    mode: str = "shadow"

    @property
    def text(self) -> str:
        return next(iter((self.texts or {}).values()), "")

    @property
    def texts_json(self) -> str:
        return json.dumps(self.texts) if self.texts else ""

    @property
    def named_source(self) -> tuple[str, str] | None:
        return (self.source, self.source_branch or "main") if self.source else None


class ImportPage(TeamPage):
    """GET shows a way (`?from=paste`); POST reads the file, imports what is missing, or saves by `do`."""

    template_name = "copy/import.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Copy", reverse("copy")), Crumb("Import a file")]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        way = request.GET.get("from", "")
        given = Form(way=way if way in dict(WAYS) else "repository")
        return self.render_to_response(self.context(given))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        do = request.POST.get("do", "read")
        try:
            form = self.read_form()
            answer, place = self._asked(form)
            if answer.value is not None and do == "save":
                return self._saved(form, answer.value, place)
            fetching = self._imported() if do == "import" else False
        except Failure as failure:
            problems = failure.problems if isinstance(failure, InvalidInput) else [("", failure.sentence)]
            return self.render_to_response(self.context(self._typed(), problems=problems), status=422)
        if answer.value is None:
            problems = [("", answer.sentence)] if answer.sentence else []
            context = self.context(form, problems=problems, fetching=answer.pending)
            return self.render_to_response(context, status=422 if problems else 200)
        return self.render_to_response(self.context(form, answer.value, fetching=fetching))

    # --- what was given ----------------------------------------------------------------------------

    def _typed(self) -> Form:
        post = self.request.POST
        way = post.get("way", "")
        return Form(
            way=way if way in dict(WAYS) else "paste",
            repository=post.get("repository", "").strip(),
            branch=post.get("branch", "").strip(),
            path=post.get("path", "").strip().lstrip("/"),
            source=post.get("source", "").strip(),
            source_branch=post.get("source_branch", "").strip(),
            name=post.get("name", "").strip(),
            mode=post.get("mode", "shadow"),
            texts={PASTED: text} if (text := plain_lines(post.get("text", ""))) else None,
        )

    def read_form(self) -> Form:
        """With the texts. InvalidInput for uploads that cannot be read."""
        form = self._typed()
        if form.way == "repository":
            return form
        texts = _kept(self.request.POST.get("texts", "")) or dict(form.texts or {})
        if uploads := self.request.FILES.getlist("files"):
            texts = _uploaded(uploads)
        return Form(**{**vars(form), "texts": texts})

    def _asked(self, form: Form) -> tuple[Answer[Given], Location]:
        team, source = self.request.team, form.named_source
        if form.way != "repository":
            place = Location(source=source or ("", ""))
            return asked_texts(self.principal, team, form.texts or {}, source, wait=WAIT), place
        if not (form.repository and form.path):
            raise InvalidInput("Name the repository and the path of the file in it.")
        row = repository_of(self.principal, team, form.repository)
        branch = form.branch or row.default_branch or "main"
        place = Location(row, branch, form.path)
        return asked_repository(self.principal, team, row, branch, form.path, wait=WAIT), place

    # --- doing -------------------------------------------------------------------------------------

    def _saved(self, form: Form, given: Given, place: Location) -> HttpResponse:
        mode = ConfigFile.Mode.ENABLED if form.mode == "enabled" else ConfigFile.Mode.SHADOW
        file = config_files.create(self.principal, self.request.team, form.name, given, place, mode)
        messages.success(self.request, f"{file.name} is in force. {MEANS[mode.value]}")
        return HttpResponseRedirect(reverse("copy_file", args=[file.pk]))

    def _imported(self) -> bool:
        """Takes what is missing in from a connection. True while that goes on."""
        names = self.request.POST.getlist("missing")[:200]
        rows = connections_of(self.principal, self.request.team)
        connection = next((row for row in rows if str(row.pk) == self.request.POST.get("connection")), None)
        if connection is None or not names:
            raise InvalidInput("Choose the connection that sees these repositories.")
        key = ("copy-import", self.request.team.pk, connection.pk, *names)
        principal = in_team(self.principal, self.request.team)

        def imported() -> list[Repository]:
            found = discovery.by_names(connection, names)
            ids = {one.remote.external_id for one in found}
            return inventory.import_repositories(principal, connection, ids, found=found)

        answer = ask(key, 5.0, imported, owner=self.request.team.pk, wait=5.0)
        if answer.sentence:
            raise InvalidInput(answer.sentence)
        return answer.pending

    # --- the page ----------------------------------------------------------------------------------

    def context(
        self,
        form: Form,
        given: Given | None = None,
        *,
        problems: Sequence[tuple[str, str]] = (),
        fetching: bool = False,
    ) -> dict[str, Any]:
        team = self.request.team
        said = list(problems) or (given.problems if given else [])
        absent = missing(self.principal, team, given) if given else []
        made: list[Made] = []
        if given and not said and not absent and not given.loaded.names_no_source:
            try:
                made = self._made(given, form.name or "file")
            except InvalidInput as error:
                said = error.problems
        return self.get_context_data(
            form=form,
            given=given,
            problems=[placed(*problem) for problem in said],
            missing=absent,
            made=made,
            plain=sum(1 for one in made if one.text),
            fetching=fetching or any(one.fetching for one in made),
            ways=[Choice(label, f"?from={key}", key == form.way) for key, label in WAYS],
            names=Names.of_team(self.principal, team).choices,
            connections=self._connections(absent) if absent else [],
            modes=[
                Radio(mode, label, MEANS[mode], mode == form.mode)
                for mode, label in (("shadow", "shadow, to begin with"), ("enabled", "enabled"))
            ],
            suggested=form.name or _name_for(form),
        )

    def _made(self, given: Given, name: str) -> list[Made]:
        principal = in_team(self.principal, self.request.team)
        made = []
        for config in configs_of(given, name):
            resolved = resolve(principal, config)
            assert isinstance(resolved, FileConfig)  # noqa: S101 - it is what was given
            plain = plain_config(config)
            text = to_yaml(to_data(plain)) if plain else ""
            made.append(Made(config, preview(principal, resolved).targets, text))
        return made

    def _connections(self, absent: Sequence[str]) -> list[tuple[Connection, int | None]]:
        """Each with how many of the repositories it is known to see; the most first."""
        found: list[tuple[Connection, int | None]] = []
        for row in connections_of(self.principal, self.request.team):
            listing = discovery.stored(row)
            seen = {one.remote.full_name for one in listing.found} if listing else None
            found.append((row, None if seen is None else len(seen.intersection(absent))))
        return sorted(found, key=lambda pair: -(pair[1] or 0))


def _kept(text: str) -> dict[str, str]:
    """The texts that the form carried along; none for anything else."""
    try:
        found = json.loads(text) if text and len(text) <= 6_000_000 else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        return {}
    return dict(list(found.items())[:MAX_FILES])


def _uploaded(files: Sequence[UploadedFile[Any]]) -> dict[str, str]:
    """Uploaded files by their names. InvalidInput for one that is too large or no text."""
    if len(files) > MAX_FILES:
        raise InvalidInput(f"Upload at most {MAX_FILES} files at once.")
    texts = {}
    for file in files:
        name = (file.name or PASTED)[:200]
        if (file.size or 0) > MAX_BYTES:
            raise InvalidInput(f"{name} is larger than {MAX_BYTES // 1_000_000} MB.")
        texts[name] = as_text(file.read(), name)
    return texts


def _name_for(form: Form) -> str:
    base = form.repository.rpartition("/")[2] if form.way == "repository" else ""
    return f"{base} copier".strip()[:60]
