"""The tags, as templates call them."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from django import forms
from django.core.paginator import Paginator
from django.template import Context, Template
from django.test import RequestFactory
from django.utils.html import format_html

from opssight.web.parts import (
    Action,
    Choice,
    CodeLine,
    DiffLine,
    FailureCard,
    Meter,
    Need,
    Progress,
    Share,
    Step,
    TreeNode,
)

NOW = dt.datetime(2026, 11, 19, 13, 42, tzinfo=dt.UTC)


def draw(source: str, **context: Any) -> str:
    html = Template("{% load ui %}" + source).render(Context(context))
    return re.sub(r"\s+", " ", html).strip()


def text(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip()


def test_a_state_is_shape_colour_and_word() -> None:
    html = draw('{% state "needs_approval" note="held" %}')
    assert 'class="state hold"' in html
    assert "#diamond-question" in html
    assert text(html) == "needs approval held"


def test_a_quiet_state_keeps_its_word_for_screen_readers() -> None:
    assert '<span class="hidden">failed</span>' in draw('{% state "failed" quiet=True %}')


def test_only_running_turns() -> None:
    assert "icon arc" in draw('{% state "running" %}')
    assert "icon arc" not in draw('{% state "queued" %}')


def test_what_comes_from_outside_is_escaped() -> None:
    evil = '<script>"'
    need = Need("failed", evil, evil, evil, Action(evil, evil, title=evil))
    tree = [TreeNode(evil, url=evil, title=evil, note=evil, tag=evil, action=Action(evil, evil))]
    diff = [DiffLine("added", [(evil, True)])]
    html = draw(
        "{% need n %}{% state e word=e %}{% sha e url=e %}{% provider e %}{% copy e label=e %}{% tree t e %}"
        "{% diff d e %}{% passage c e %}{% banner e e command=e %}{{ e }}{% endbanner %}{{ e|midcut:4 }}",
        n=need, t=tree, d=diff, c=[CodeLine(1, [(evil, True)])], e=evil,
    )  # fmt: skip
    assert "<script" not in html
    assert html.count("&lt;script&gt;") > 15


def test_names_may_stand_out() -> None:
    need = Need("failed", format_html("<b>{}</b> failed", "a&b"), "Lost:", "x", Action("Retry", "/"))
    assert "<b>a&amp;b</b> failed" in draw("{% need n %}", n=need)


def test_an_action_is_a_link_a_form_or_opens_a_dialog() -> None:
    assert draw("{% action a %}", a=Action("Go", "/x", kind="primary")) == (
        '<a class="button primary" href="/x">Go</a>'
    )
    form = draw(
        "{% action a %}", a=Action("Retry", "/x", method="post", fields={"what": "3"}), csrf_token="T"
    )
    assert '<form class="action-form" method="post" action="/x">' in form
    assert 'name="csrfmiddlewaretoken" value="T"' in form
    assert '<input type="hidden" name="what" value="3">' in form
    dialog = draw("{% action a %}", a=Action("Approve…", dialog="approve"))
    assert 'popovertarget="approve"' in dialog


@pytest.mark.parametrize(
    "source",
    ["{% need n %}", "{% failure f %}", "{% strip s %}", "{% menu 'm' %}{% action a %}{% endmenu %}"],
)
def test_a_form_inside_a_component_carries_its_token(source: str) -> None:
    post = Action("Retry", "/x", method="post")
    context = {
        "n": Need("failed", "a", "b", "c", post),
        "f": FailureCard("a", "b", post),
        "s": [Step("copy", "Copy", "text", "at_head", behind=0, actions=[post])],
        "a": post,
    }
    assert 'name="csrfmiddlewaretoken" value="T"' in draw(source, csrf_token="T", **context)


def test_relative_time_has_the_exact_one_in_its_title() -> None:
    html = draw("{% time at now=now %}", at=NOW - dt.timedelta(minutes=12), now=NOW)
    assert html == (
        '<time datetime="2026-11-19T13:30:00+00:00" title="Thu 19 Nov 2026, 13:30:00 UTC">12 min ago</time>'
    )
    assert draw("{% time at %}", at=None) == "<span>never</span>"


def test_plan_marks_in_signs_and_words() -> None:
    assert text(draw("{% marks 12 4 3 %}")) == "+12 added ~4 changed −3 removed"
    assert text(draw("{% marks 0 0 0 %}")) == "nothing"


def test_numbers_through_filters() -> None:
    assert draw("{{ a|bytes }} {{ b|duration }} {{ c|count }} {{ d|signed }} {{ e|percent }}",
                a=412_000_000, b=2.1, c=None, d=-3, e=0.5) == "412 MB 2.1 s unknown −3 50 %"  # fmt: skip


def test_a_meter_is_calm_while_there_is_more_than_is_kept() -> None:
    for left, tone in ((3_120, "ok"), (500, "warn"), (0, "bad")):
        drawn = draw("{% meter m %}", m=Meter(left, 5_000, f"{left} of 5,000 left", 500))
        assert f'class="meter {tone}"' in drawn
        assert 'x1="10%"' in drawn
    assert "tick" not in draw("{% meter m %}", m=Meter(0, 0, "none"))


def test_progress_without_a_total_has_no_value() -> None:
    assert 'max="61" value="38.2"' in draw("{% progress p %}", p=Progress(38.2, 61, "x"))
    assert "value=" not in draw("{% progress p %}", p=Progress(38.2, None, "x"))


def test_shares_with_a_label_are_an_image() -> None:
    html = draw("{% shares s label='Copy' %}", s=[Share("unknown", 1)])
    assert 'role="img" aria-label="Copy"' in html
    assert 'fill="url(#hatch)"' in html


def test_segments_say_which_one_is_chosen() -> None:
    html = draw(
        "{% segmented c 'Show' %}",
        c=[Choice("All", "?a", True, 6), Choice("Failed", "?b", count=1, state="failed")],
    )
    assert html.count('aria-current="true"') == 1
    assert text(html) == "All 6 failed Failed 1"


def _with_request(path: str, context: dict[str, Any]) -> Context:
    return Context({"request": RequestFactory().get(path), **context})


@pytest.mark.parametrize(
    ("path", "order", "link"),
    [
        ("/?q=a&page=3", "", "?q=a&amp;sort=name"),
        ("/?sort=name", "ascending", "?sort=-name"),
        ("/?sort=-name", "descending", "?sort=name"),
        ("/?sort=size", "", "?sort=name"),
    ],
)
def test_sort_heads(path: str, order: str, link: str) -> None:
    html = Template('{% load ui %}{% sort "name" "Name" %}').render(_with_request(path, {}))
    assert f'href="{link}"' in html
    assert (f'aria-sort="{order}"' in html) if order else ("aria-sort" not in html)


def test_the_order_of_a_list_without_choice_is_marked() -> None:
    source = '{% load ui %}{% sort "age" "Age" default="down" %}'
    assert 'aria-sort="descending"' in Template(source).render(_with_request("/", {}))
    assert "aria-sort" not in Template(source).render(_with_request("/?sort=name", {}))


def test_pager_counts_and_keeps_the_filter() -> None:
    page = Paginator(range(214), 50).get_page(2)
    html = Template('{% load ui %}{% pager p "mirrors" %}').render(_with_request("/?q=a&page=2", {"p": page}))
    assert "51 to 100 of 214 mirrors" in html
    assert 'href="?q=a&amp;page=1"' in html
    assert 'href="?q=a&amp;page=3"' in html
    one = Paginator(range(3), 50).get_page(1)
    alone = Template('{% load ui %}{% pager p "mirrors" %}').render(_with_request("/", {"p": one}))
    assert "3 mirrors" in alone
    assert "<nav" not in alone


class Rule(forms.Form):
    name = forms.CharField(help_text="Shown in lists.")
    note = forms.CharField(required=False)
    secret = forms.CharField(widget=forms.PasswordInput())
    wiki = forms.BooleanField(required=False)
    state = forms.ChoiceField(
        choices=[("on", "On|Runs at once."), ("off", "Off")], widget=forms.RadioSelect()
    )


def test_a_field_ties_label_help_and_error_together() -> None:
    html = draw("{% field f.name %}", f=Rule({}))
    assert '<label for="id_name">' in html
    assert 'aria-describedby="id_name_helptext id_name_error"' in html
    assert 'id="id_name_helptext"' in html
    assert 'id="id_name_error"' in html
    assert 'aria-invalid="true"' in html


def test_what_may_stay_empty_says_so() -> None:
    assert "optional" in draw("{% field f.note %}", f=Rule())
    assert "optional" not in draw("{% field f.name %}", f=Rule())
    assert "optional" not in draw("{% field f.wiki %}", f=Rule())


def test_choices_are_a_group_with_a_legend_and_their_error() -> None:
    for tag in ("field", "segmented_field", "options_field"):
        html = draw("{% " + tag + " f.state %}", f=Rule({}))
        assert "<legend>State</legend>" in html
        assert 'aria-describedby="id_state_error"' in html
    assert '<b>On</b><span class="help">Runs at once.</span>' in draw("{% options_field f.state %}", f=Rule())


def test_a_tree_is_nested_disclosures() -> None:
    nodes = [
        TreeNode(
            "src",
            folder=True,
            open=True,
            children=[TreeNode("a.py", url="/a", mark="added", lit=True, tag="1", current=True)],
        ),
        TreeNode("big", folder=True, load_url="/big"),
    ]
    html = draw("{% tree n 'files' %}", n=nodes)
    assert "<details open>" in html
    assert 'class="row lit added level-1 leaf" href="/a" aria-current="true"' in html
    assert 'aria-label="added"' in html
    assert 'hx-get="/big" hx-trigger="toggle once" hx-target="find ul"' in html


def test_folders_deeper_than_the_deepest_indent_stay_there() -> None:
    node = TreeNode("leaf")
    for _ in range(20):
        node = TreeNode("d", folder=True, children=[node])
    html = draw("{% tree n 'files' %}", n=[node])
    assert html.count("level-12") == 9
    assert "level-13" not in html


def test_a_banner_carries_the_command() -> None:
    html = draw(
        '{% banner "failed" "No worker is running." command="opssight worker" %}Start one:{% endbanner %}'
    )
    assert text(html) == "No worker is running. Start one: opssight worker"
    assert 'data-copy="opssight worker"' in html
