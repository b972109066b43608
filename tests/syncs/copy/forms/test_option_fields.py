"""The form, its text and the configuration are three spellings of the same thing: nothing gets lost."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from django.http import QueryDict
from hypothesis import example, given, strategies as st

from syncs.copy.forms.listening_fields import ListeningDraft
from syncs.copy.forms.option_fields import OptionsDraft, TransformDraft
from syncs.copy.forms.rule_form import Choice, Draft, Names, check
from syncs.copy.forms.yaml_text import config_to_yaml, draft_to_yaml, read_yaml
from syncs.copy.rules.config import CopyConfig, Target, parse_config, to_data
from syncs.copy.rules.listening import EVENTS, PUSHES, Listening
from syncs.copy.rules.options import Authors, Deletions, Options, PullRequest, Transform
from syncs.copy.rules.rule import Rule

NAMES = Names([Choice("1", "docs", "docs", "main", "folder"), Choice("2", "site", "site", "main", "folder")])
RULE = Rule("glob", "docs/**", "copied/${relative_path}")

line = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
several = st.text(st.sampled_from("a =<é \n\r\t#:"), max_size=12)
few = st.lists(line, max_size=3).map(tuple)

pulls = st.builds(
    PullRequest,
    title=st.just("") | line,
    body=several,
    use_template=st.booleans(),
    labels=few,
    reviewers=few,
    assignees=few,
    draft=st.booleans(),
    auto_merge=st.booleans(),
    merge_method=st.sampled_from(["merge", "squash", "rebase"]),
    update=st.sampled_from(["update", "append", "recreate"]),
    others_commits=st.sampled_from(["append", "hold"]),
)
few_globs = st.lists(st.sampled_from(["**/*.md", "a/*"]), max_size=2).map(tuple)
transforms = st.one_of(
    st.builds(Transform, st.just("replace"), find=several.filter(bool), text=several, files=few_globs),
    st.builds(Transform, st.sampled_from(["header", "footer"]), text=several.filter(bool)),
    st.builds(Transform, st.just("line_endings"), text=st.sampled_from(["lf", "crlf"])),
    st.builds(Transform, st.just("variables"), files=few_globs),
    st.builds(Transform, st.just("remove_blocks"), find=several.filter(bool), text=several.filter(bool)),
)
address = st.sampled_from(["a@example.org", "b=c@example.org", " d@example.org"])
people = st.dictionaries(address, st.sampled_from(["A B <a@b.org>", "C = D <c@d.org>"]), max_size=3)
options = st.builds(
    Options,
    strategy=st.sampled_from(["direct", "pull_request"]),
    pull_request=pulls,
    deletions=st.builds(
        Deletions,
        policy=st.sampled_from(["ignore", "record", "delete"]),
        file=st.sampled_from(["deprecated_examples.json", "gone.json"]),
        repository=st.sampled_from(["", "1", "2"]),
        branch=st.sampled_from(["", "main"]),
    ),
    edits=st.sampled_from(["overwrite", "merge", "hold"]),
    transforms=st.lists(transforms, max_size=3).map(tuple),
    authors=st.builds(
        Authors,
        policy=st.sampled_from(["bot", "source", "map"]),
        people=people.map(lambda found: tuple(found.items())),
    ),
    sign=st.sampled_from(["none", "key", "api"]),
)
some_events = st.sets(st.sampled_from(EVENTS), min_size=1)
listenings = st.builds(
    lambda chosen, tags: Listening(
        tuple(event for event in EVENTS if event in chosen), tags if "tag" in chosen else "**"
    ),
    some_events,
    st.sampled_from(["**", "v*", " v", "release/**", "{a,b}"]),
)


def config_of(given: Options, message: str = "", listening: Listening = PUSHES) -> CopyConfig:
    target = (Target("2", "main"),)
    return CopyConfig("n", "1", "main", (RULE,), target, message, options=given, listening=listening)


def posted(draft: Draft) -> QueryDict:
    """The form as a browser sends it: line breaks are CRLF, a box that is not ticked is not there."""
    post = QueryDict(mutable=True)
    plain: dict[str, Any] = {"name": draft.name, "source": draft.source, "branch": draft.branch}
    plain |= {"message": draft.message, "match": draft.match, "kept": draft.kept_text}
    plain |= {"tags": draft.listening.tags}
    post.setlist("events", list(draft.listening.events))
    for one in dataclasses.fields(OptionsDraft):
        value = getattr(draft.options, one.name)
        if one.name != "transforms" and value is not False:
            plain[one.name] = "1" if value is True else value
    for name, value in plain.items():
        post[name] = value.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    for target in draft.targets:
        post.appendlist("target", target.repository)
        post.appendlist("target_branch", target.branch)
    for rule in draft.rules:
        for name in ("type", "pattern", "template", "exclude", "exclude_syntax"):
            post.appendlist(name, getattr(rule, name))
    for row in draft.options.transforms:
        for name in ("type", "find", "text", "files"):
            text = getattr(row, name).replace("\r\n", "\n").replace("\r", "\n")
            post.appendlist(f"transform_{name}", text.replace("\n", "\r\n"))
    return post


@given(options, several, listenings)
@example(Options(pull_request=PullRequest(body="a\rb")), "x\r", PUSHES)
@example(Options(transforms=(Transform("replace", "a\r\nb", "c"),)), "", PUSHES)
@example(Options(authors=Authors("map", (("b=c@example.org", "A B <a@b.org>"),))), "", PUSHES)
def test_the_form_loses_nothing(given: Options, message: str, listening: Listening) -> None:
    config = config_of(given, message, listening)
    draft = Draft.from_post(posted(Draft.from_config(config, NAMES)))

    found = check(draft, NAMES)

    assert found.problems == {}
    assert found.config == config
    assert not set(draft.kept) & {"events", "tags"}


@given(options, several, listenings)
def test_the_text_loses_nothing(given: Options, message: str, listening: Listening) -> None:
    config = config_of(given, message, listening)

    assert read_yaml(config_to_yaml(config, NAMES), NAMES) == config
    assert parse_config(to_data(config)) == config


def test_keys_that_no_field_shows_are_carried_along() -> None:
    config = config_of(Options(pull_request=PullRequest(title="T", body="a\rb")))
    draft = Draft.from_post(posted(Draft.from_config(config, NAMES)))

    assert list(draft.kept) == ["pull_request"]
    assert check(draft, NAMES).config == config


@pytest.mark.parametrize("kept", ["[1]", "{", "x" * 20, '{"magic": 1}', "[" * 5_000])
def test_what_does_not_belong_into_the_form_is_refused_not_obeyed(kept: str) -> None:
    post = posted(Draft.from_config(config_of(Options()), NAMES))
    post["kept"] = kept
    found = check(Draft.from_post(post), NAMES)

    assert found.config is None or found.config == config_of(Options())
    assert (found.config is None) == ("magic" in kept)


def test_problems_stand_at_their_fields() -> None:
    draft = Draft.from_config(config_of(Options()), NAMES)
    wrong = OptionsDraft(
        strategy="magic",
        deletions="record",
        record_file="../x",
        record_repository="gone",
        authors="map",
        people="a@example.org = nobody",
        transforms=(TransformDraft("replace", "", "x"), TransformDraft("header", "", "y", "[")),
    )
    found = check(dataclasses.replace(draft, options=wrong), NAMES)

    wanted = {
        "strategy",
        "record_file",
        "record_repository",
        "people",
        "transform-1-files",
    }
    assert wanted <= set(found.problems)
    assert found.missing["transform-0-find"] == ["Say which text."]
    assert found.usable is not None
    assert found.usable.options == Options()


@pytest.mark.parametrize(
    ("listening", "problems", "missing"),
    [
        (ListeningDraft(()), {}, {"events": ["Tick at least one."]}),
        (ListeningDraft(("push", "magic")), {"events": 1}, {}),
        (ListeningDraft(("tag",), "["), {"tags": 1}, {}),
        (ListeningDraft(("push",), "["), {}, {}),  # the field is not shown, and nothing is saved of it
    ],
)
def test_problems_with_what_starts_it_stand_at_their_fields(
    listening: ListeningDraft, problems: dict[str, int], missing: dict[str, list[str]]
) -> None:
    draft = Draft.from_config(config_of(Options()), NAMES)
    found = check(dataclasses.replace(draft, listening=listening), NAMES)

    assert {key: len(said) for key, said in found.problems.items()} == problems
    assert found.missing == missing
    assert (found.config is None) == bool(problems or missing)
    assert found.usable is not None


@pytest.mark.parametrize(
    ("events", "awaited"),
    [
        ((), "change"),
        (("push",), "push"),
        (("pull_request", "push"), "push or merge"),
        (("push", "pull_request", "tag"), "push, merge or tag"),
    ],
)
def test_what_is_awaited_is_said(events: tuple[str, ...], awaited: str) -> None:
    assert ListeningDraft(events).awaited == awaited


def test_a_form_that_says_nothing_of_events_starts_with_pushes() -> None:
    assert ListeningDraft.from_post(QueryDict("name=x")) == ListeningDraft(("push",), "")
    assert ListeningDraft.from_post(QueryDict("tags=")) == ListeningDraft((), "")


def test_an_unfinished_form_is_text_with_names() -> None:
    config = config_of(Options(deletions=Deletions("record", repository="2")))
    draft = dataclasses.replace(Draft.from_config(config, NAMES), name="")

    assert "repository: site" in draft_to_yaml(draft, NAMES).split("deletions:")[1]


@pytest.mark.parametrize(
    ("do", "row", "wanted"),
    [
        ("add-transform", -1, ["header", "footer", "replace"]),
        ("remove-transform", 0, ["footer"]),
        ("remove-transform", 7, ["header", "footer"]),
        ("up-transform", 1, ["footer", "header"]),
        ("up-transform", 0, ["header", "footer"]),
    ],
)
def test_rows_of_transforms_are_arranged(do: str, row: int, wanted: list[str]) -> None:
    draft = OptionsDraft(transforms=(TransformDraft("header"), TransformDraft("footer")))

    assert [one.type for one in draft.arranged(do, row).transforms] == wanted
