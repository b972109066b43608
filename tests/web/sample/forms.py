"""Empty page, tables and forms of the sample."""

# ruff: noqa: E501 - sentences of the sample are kept whole

from __future__ import annotations

from django import forms

from opssight.web.parts import Action, FacetOption, Point, Teach
from tests.web.sample.base import B

TEACH = Teach(
    B("When files change here,<br>change them there"),
    "A copy rule watches some files of one repository and keeps them the same in others, as a commit or as a pull request. You see every file it would write before it writes one.",
    [Action("Make a copy rule", "/", "plus", "primary"), Action("Import a copier config…", "/")],
    [
        Point(
            "Nothing by surprise",
            "Two trees side by side show what would be added, changed and removed. Saving writes nothing until you say so.",
            "eye",
        ),
        Point(
            "Only what it made",
            "A rule deletes a file there only if it wrote that file itself. Edits by people are kept and shown to you.",
            "lock",
        ),
        Point(
            "Moves from your copier",
            "Paste a config of examples-copier or repo-file-sync-action. It works unchanged, and we name what it ignored.",
            "copy",
        ),
    ],
    "opssight copy validate rules.yaml",
    Action("The tutorial takes 6 minutes", "/"),
    "components/art_copy.html",
)
FACET = [
    FacetOption("acme/payments-api", "1", 14, True),
    FacetOption("acme/docs", "2", 9, True),
    FacetOption("ops/ansible-roles", "3", 1204),
]
STEPS = [
    Point("Pick repositories", "All 61 are listed with size and last push. Nothing starts by itself."),
    Point(
        "Take a first job, or none",
        "We propose three: back up all 61 each night, mirror acme/mobile to onedev.lan, index acme for search.",
    ),
]
SCOPES = [
    ("Discover", "61 repositories, tags, branches", "read_api", "allowed", ""),
    ("Index", "read contents", "read_repository", "allowed", ""),
    ("Mirror to", "make projects on this server", "api", "missing_scope", "missing api"),
    ("Hear pushes at once", "register a hook", "api", "polled", "checked every 2 min"),
]
BACKUPS = [
    ("github", "acme/legacy-billing", "held", "held, 3 days ago", 3, "88 MB", "after approval"),
    ("gitlab", "acme/mobile/ios-app", "unknown", "", None, "1.2 GB", "on reconnect"),
    ("github", "acme/docs", "proof_old", "14 days ago", 14, "412 MB", "20:00"),
    ("bitbucket", "acme-pay/ledger", "proved", "3 days ago", 3, "301 MB", "20:00"),
    ("gitea", "ops/ansible-roles", "proved", "today", 0, "12 MB", "20:00"),
]
PROVIDERS = ["folder", "plain", "github", "gitlab", "bitbucket", "azure", "gitea", "onedev"]
LONG_PATH = "examples/python/integration/tests/fixtures/conftest.py"


class SampleForm(forms.Form):
    name = forms.CharField(help_text="Shown in lists and in notices.")
    kind = forms.ChoiceField(choices=[("glob", "glob"), ("move", "move"), ("regex", "regex")])
    note = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 3}))
    token = forms.CharField(widget=forms.PasswordInput())
    wiki = forms.BooleanField(required=False, label="Take the wiki too", help_text="When the forge has one.")
    lists = forms.MultipleChoiceField(
        choices=[("a", "Branches"), ("b", "Tags")], widget=forms.CheckboxSelectMultiple()
    )
    state = forms.ChoiceField(
        label="When saved, the rule is",
        choices=[("on", "enabled"), ("shadow", "shadow"), ("off", "disabled")],
        widget=forms.RadioSelect(),
        initial="on",
    )
    decide = forms.ChoiceField(
        choices=[
            ("keep", "Keep all 231 on the mirror|Goes on with the 17 that are left. Nothing is lost."),
            ("approve", "Approve 214 deletions|The tips stay 90 days and can be restored here."),
            ("stop", "Stop this mirror|Leaves both sides as they are."),
        ],
        widget=forms.RadioSelect(),
        initial="keep",
    )
    upload = forms.FileField(required=False)


class LoginForm(forms.Form):
    username = forms.EmailField(
        label="E-mail", widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
    )
    password = forms.CharField(widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}))

    def clean(self) -> None:
        raise forms.ValidationError("The e-mail or the password is not right.")
