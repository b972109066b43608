"""What browsers load: nothing inline, nothing from elsewhere, every file found under its hashed name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings

ROOT = Path(__file__).resolve().parents[2]
INLINE = re.compile(
    r"""\sstyle\s*=|<style|\son[a-z]+\s*=\s*["']|<script(?![^>]*\ssrc=)|javascript:""", re.IGNORECASE
)
ELSEWHERE = re.compile(r"""(?:src|href)=["'](?:https?:)?//|url\(["']?(?:https?:)?//|@import""", re.IGNORECASE)


def templates() -> list[Path]:
    return sorted((ROOT / "templates").rglob("*.html"))


@pytest.mark.parametrize("path", templates(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_template_carries_no_inline_style_or_script(path: Path) -> None:
    text = path.read_text()
    assert INLINE.findall(text) == []
    assert [link for link in re.findall(r"<(?:script|link|img)[^>]+>", text) if ELSEWHERE.search(link)] == []


@pytest.mark.parametrize("name", ["css", "admin.css", "icons.svg", "chevron.svg", "favicon.svg"])
def test_a_style_sheet_or_picture_loads_nothing_from_elsewhere(name: str) -> None:
    place = ROOT / "static" / name
    for path in sorted(place.iterdir()) if place.is_dir() else [place]:
        text = path.read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert ELSEWHERE.findall(text) == [], path
        assert "http" not in text, path


def test_every_file_is_found_under_its_hashed_name(settings: Settings, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
    }
    call_command("collectstatic", interactive=False, verbosity=0)
    (controls,) = [path for path in (tmp_path / "css").glob("controls.*.css") if path.stem != "controls"]
    (chevron,) = tmp_path.glob("chevron.*.svg")
    assert f"../{chevron.name}" in controls.read_text()


def test_the_script_stays_small() -> None:
    lines = (ROOT / "static" / "app.js").read_text().splitlines()
    assert len(lines) < 200
