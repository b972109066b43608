"""Every state has colour, shape and word; every shape and sign is drawn."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from opssight.web.icons import ICONS, chart_mark, icon_svg
from opssight.web.states import HATCHED, STATES, look_of

ROOT = Path(__file__).resolve().parents[2]
RUN_STATES = ["queued", "running", "succeeded", "partial", "failed", "cancelled", "needs_approval", "dead"]
ITEM_STATES = ["planned", "done", "skipped", "failed", "conflict"]


@pytest.mark.parametrize("state", [*RUN_STATES, *ITEM_STATES])
def test_run_and_item_states_say_their_own_name(state: str) -> None:
    assert STATES[state].word == state.replace("_", " ")


def test_every_shape_is_drawn() -> None:
    assert {look.shape for look in STATES.values()} <= ICONS


def test_fine_and_unknown_never_look_alike() -> None:
    fine = [look for look in STATES.values() if look.tone == "ok"]
    assert {look.shape for look in fine} == {"disc-tick"}
    assert all(STATES[state].tone == "none" for state in HATCHED)


def test_a_state_nobody_knows_is_shown_as_unknown_under_its_name() -> None:
    look = look_of("half_baked")
    assert (look.tone, look.shape, look.word) == ("none", "dashed-question", "half baked")
    assert look_of("").word == "unknown"


def test_the_sprite_and_the_list_of_icons_are_equal() -> None:
    sprite = ElementTree.parse(ROOT / "static" / "icons.svg").getroot()  # noqa: S314 - our own file
    assert {symbol.attrib["id"] for symbol in sprite} == ICONS


def test_the_sprite_carries_no_style() -> None:
    text = (ROOT / "static" / "icons.svg").read_text()
    assert not re.search(r"<style|style=|<script|href=", text)


def test_templates_use_only_icons_that_are_drawn() -> None:
    used = {
        name
        for template in (ROOT / "templates").rglob("*.html")
        for name in re.findall(r"{% icon \"([^\"]+)\"", template.read_text())
    }
    assert used
    assert used <= ICONS


def test_an_icon_is_decoration_unless_it_has_a_label() -> None:
    assert 'aria-hidden="true"' in icon_svg("copy")
    labelled = icon_svg("copy", label='Copy "it"')
    assert 'role="img" aria-label="Copy &quot;it&quot;"' in labelled
    assert "aria-hidden" not in labelled


@pytest.mark.parametrize("draw", [icon_svg, chart_mark])
def test_an_icon_that_is_not_drawn_is_refused(draw: object) -> None:
    assert callable(draw)
    with pytest.raises(ValueError, match="no icon named 'smiley'"):
        draw("smiley")
