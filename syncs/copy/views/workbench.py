"""The workbench: a rule is written while both trees show what it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from opssight.accounts.models import Role
from opssight.core.errors import InvalidInput
from opssight.web.trees import tree_html
from opssight.web.views import one_or_404
from syncs.copy.forms.rule_form import Draft, Problems, RuleDraft, TargetDraft, check, field_id
from syncs.copy.plan.plan import propose
from syncs.copy.rules.config import CopyConfig, parse_config
from syncs.copy.rules.paths import as_bytes
from syncs.copy.rules.rule import RULE_TYPES, Rule
from syncs.copy.saved import service
from syncs.copy.views.arrival import arrival
from syncs.copy.views.base import RulePage, asked_of, run_url
from syncs.copy.views.bench import Bench, plan_draft
from syncs.copy.views.flows import flow_rows
from syncs.copy.views.folders import path_in
from syncs.copy.views.inputs import rule_rows, target_rows, top_fields
from syncs.copy.views.looking import Looking
from syncs.copy.views.pane import place_for
from syncs.models import Run

MOVED: Final = "{} was saved as version {} while you were here. Look at it under Versions, then save again."


class Workbench(RulePage):
    """GET shows a version (the live one, or `?version=3`); POST changes the draft by `do`, or saves it."""

    template_name = "copy/workbench.html"
    post_role = Role.VIEWER  # trying is for all; saving asks for more
    tab = "copy_rule"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.job is not None and (query := asked_of(request)):
            return HttpResponseRedirect(f"{reverse('copy_plan', args=[self.job.pk])}?{query}")
        if self.job is not None and self.file is not None:
            self.template_name = "copy/file_rule.html"
            context = self.get_context_data(flows=flow_rows(self.job), rule=self.job.copy_rule)
            return self.render_to_response(context)
        return self.page(self.stored_draft(), Looking())

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.refuse_made_from_file()
        looking = Looking.from_post(request.POST)
        draft = Draft.from_post(request.POST)
        do, _, argument = request.POST.get("do", "").partition(":")
        if do in ("save-next", "save-now"):
            return self.save(draft, looking, "now" if do == "save-now" else "next")
        try:
            draft = self.changed(draft, looking, do, argument)
        except InvalidInput as failure:
            messages.error(request, failure.sentence)
        return self.page(draft, looking, focus=_focus(do, draft))

    # --- drafts -----------------------------------------------------------------------------------

    def stored_draft(self) -> Draft:
        if self.job is None or self.job.version is None:
            return self._fresh_draft()
        version = self.job.version
        if wanted := self.request.GET.get("version", ""):
            version = one_or_404(self.job.versions.all(), number=wanted)
        return Draft.from_config(parse_config(version.config), self.names)

    def _fresh_draft(self) -> Draft:
        choice = self.names.find(self.request.GET.get("source", ""))
        target = self.names.find(self.request.GET.get("target", ""))
        return Draft(
            source=choice.label if choice else "",
            branch=choice.branch if choice else "",
            targets=(TargetDraft(target.label, target.branch) if target else TargetDraft(),),
        )

    def changed(self, draft: Draft, looking: Looking, do: str, argument: str) -> Draft:
        """The draft after one of the buttons. InvalidInput when an example cannot become a rule."""
        if do == "example":
            here, there = (self.request.POST.get(name, "").strip() for name in ("here", "there"))
            if not here or not there:
                raise InvalidInput("Name a file here and the place it should have there.")
            return draft.adding(propose(as_bytes(here), as_bytes(there)))
        if do == "only":
            return self._with_only(draft, path_in(looking.show))
        return arranged(draft, do, [int(n) for n in argument.split(":") if n.isdecimal()])

    def _with_only(self, draft: Draft, path: bytes) -> Draft:
        config = check(draft, self.names).usable
        if config is None:
            return draft
        return draft.adding(Rule("copy", path.decode("utf-8", "replace"), place_for(path, config)))

    # --- pages ------------------------------------------------------------------------------------

    def bench(self, draft: Draft, looking: Looking) -> Bench:
        checked = check(draft, self.names)
        return plan_draft(self.principal, draft, checked, looking, self.job, self.address_of("folder"))

    def address_of(self, part: Literal["preview", "folder"]) -> str:
        if self.job is None:
            return reverse(f"copy_new_{part}")
        return reverse(f"copy_{part}", args=[self.job.pk])

    def page(
        self,
        draft: Draft,
        looking: Looking,
        problems: Problems | None = None,
        focus: str = "",
        status: int = 200,
    ) -> HttpResponse:
        bench = self.bench(draft, looking)
        shown = bench.checked.problems if problems is None else problems
        context = self.get_context_data(**self.bench_context(bench, shown, focus))
        return self.render_to_response(context, status=status)

    def bench_context(self, bench: Bench, problems: Problems, focus: str = "") -> dict[str, Any]:
        rules, targets = rule_rows(bench, problems, focus), target_rows(bench.draft, problems, focus)
        top = top_fields(bench.draft, problems, "" if self.job else focus or "name")
        opened = "transform" in focus or self.request.POST.get("arrives") == "1"
        arrives = arrival(bench.draft, self.names, problems, opened=opened)
        repeated = [field for rule in rules for field in rule.fields] + arrives.all_fields
        repeated += [field for target in targets for field in target.fields]
        return {
            "bench": bench,
            "top": top,
            "arrives": arrives,
            "rules": rules,
            "targets": targets,
            "fields": [*top.values(), *repeated],
            "errors": [*problems.get("", []), *problems.get("rules", []), *problems.get("targets", [])],
            "rule_types": RULE_TYPES,
            "choices": self.names.choices,
            "based_on": self.request.POST.get("based_on") or self.live_number(),
            "page_url": self.address("copy_rule"),
            "preview_url": self.address_of("preview"),
            "yaml_url": self.address("copy_yaml"),
            "discard_url": self.address("copy_rule") if self.job else reverse("copy"),
        }

    def live_number(self) -> int:
        return self.job.version.number if self.job and self.job.version else 0

    # --- saving -----------------------------------------------------------------------------------

    def save(self, draft: Draft, looking: Looking, start: service.Start) -> HttpResponse:
        self.require_operator()
        checked = check(draft, self.names)
        problems = {key: list(said) for key, said in checked.problems.items()}
        for key, said in checked.missing.items():
            problems.setdefault(key, []).extend(said)
        live = self.live_number()
        if self.job is not None and self.request.POST.get("based_on", str(live)) != str(live):
            problems.setdefault("", []).append(MOVED.format(self.job.name, live))
        if problems or checked.config is None:
            return self.page(draft, looking, problems, status=422)
        baseline = self.bench(draft, looking).found
        oid = baseline.oid if baseline else ""
        try:
            return self._stored(checked.config, start, oid, draft.listening.awaited)
        except InvalidInput as error:
            for where, sentence in error.problems:
                problems.setdefault(field_id(where), []).append(sentence)
            return self.page(draft, looking, problems, status=422)

    def _stored(self, config: CopyConfig, start: service.Start, oid: str, awaited: str) -> HttpResponse:
        run: Run | None
        adopting = self.request.POST.get("adopt") == "1"
        if self.job is None:
            job, run = service.create_rule(
                self.principal, self.request.team, config, start=start, baseline=oid, adopting=adopting
            )
        else:
            job, run = service.update_rule(
                self.principal, self.job, config, start=start, baseline=oid, adopting=adopting
            )
        number = job.version.number if job.version else 1
        if start == "now" and run is not None:
            messages.success(self.request, f"Saved as version {number}. This run copies all of it.")
            return HttpResponseRedirect(run_url(run))
        sentence = f"Saved as version {number}. Files are copied from the next {awaited} on."
        messages.success(self.request, sentence)
        return HttpResponseRedirect(reverse("copy_rule", args=[job.pk]))


class PreviewPart(Workbench):
    """The live half of the workbench, for what stands in the form now."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.refuse_made_from_file()
        bench = self.bench(Draft.from_post(request.POST), Looking.from_post(request.POST))
        context = {**self.bench_context(bench, bench.checked.problems), "may_write": self.may_write}
        return render(request, "copy/_preview.html", {**context, "job": self.job})


class FolderPart(Workbench):
    """The rows of one folder of either tree, when it is opened."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.refuse_made_from_file()
        key = request.GET.get("folder", "")
        bench = self.bench(Draft.from_post(request.POST), Looking.from_post(request.POST))
        level = path_in(key).count(b"/") + 1
        return HttpResponse(tree_html(bench.inside(key), level))


def arranged(draft: Draft, do: str, at: Sequence[int]) -> Draft:
    """The draft with rows added, removed or moved; unchanged for anything else."""
    rules, targets = list(draft.rules), list(draft.targets)
    row = at[0] if at else -1
    if do.endswith("-transform"):
        return replace(draft, options=draft.options.arranged(do, row))
    if do == "add-rule":
        rules.append(RuleDraft(type=rules[-1].type if rules else "glob"))
    elif do == "add-target":
        targets.append(TargetDraft())
    elif do == "remove-target" and 0 <= row < len(targets):
        del targets[row]
    elif 0 <= row < len(rules):
        _arrange_rule(rules, do, row, at[1] if len(at) > 1 else -1)
    return replace(draft, rules=tuple(rules), targets=tuple(targets))


def _arrange_rule(rules: list[RuleDraft], do: str, row: int, line: int) -> None:
    rule = rules[row]
    if do == "remove-rule":
        del rules[row]
    elif do == "up" and row:
        rules[row - 1 : row + 1] = [rule, rules[row - 1]]
    elif do == "down" and row + 1 < len(rules):
        rules[row : row + 2] = [rules[row + 1], rule]
    elif do == "include":
        kept = [text for index, text in enumerate(rule.excludes) if index != line]
        rules[row] = replace(rule, exclude="\n".join(kept))


def _focus(do: str, draft: Draft) -> str:
    """The field to go on in after a button."""
    last_rule, last_target = len(draft.rules) - 1, len(draft.targets) - 1
    last_change = len(draft.options.transforms) - 1
    return {
        "add-rule": f"rule-{last_rule}-pattern",
        "example": f"rule-{last_rule}-pattern",
        "only": f"rule-{last_rule}-template",
        "add-target": f"target-{last_target}-repository",
        "remove-rule": "add-rule",
        "remove-target": "add-target",
        "add-transform": f"transform-{last_change}-type",
        "remove-transform": "add-transform",
        "up-transform": "add-transform",
    }.get(do, "none")
