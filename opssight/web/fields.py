"""Form fields as components: label, control, help and error tied together."""

from __future__ import annotations

from typing import Any

from django import template
from django.forms import BaseForm, CheckboxInput, CheckboxSelectMultiple, PasswordInput, RadioSelect
from django.forms.boundfield import BoundField


def _parts(bound: BoundField) -> dict[str, Any]:
    widget = bound.field.widget
    several = isinstance(widget, RadioSelect | CheckboxSelectMultiple)
    described = [f"{bound.auto_id}_helptext"] if bound.help_text else []
    if bound.errors:
        described.append(f"{bound.auto_id}_error")
    return {
        "bound": bound,
        "described_by": " ".join(described),
        "several": several,
        "check": isinstance(widget, CheckboxInput),
        "password": isinstance(widget, PasswordInput),
        "optional": not bound.field.required and not isinstance(widget, CheckboxInput) and not several,
    }


def field(bound: BoundField, link_url: str = "", link_label: str = "") -> dict[str, Any]:
    """One field of a form; ``link_*`` stands at the right of its label."""
    return {**_parts(bound), "link_url": link_url, "link_label": link_label}


def segmented_field(bound: BoundField) -> dict[str, Any]:
    """A choice of few short words (RadioSelect) as a segmented control."""
    return _parts(bound)


def options_field(bound: BoundField) -> dict[str, Any]:
    """A choice that needs explaining (RadioSelect) as large options; a label is "Title|What it does"."""
    parts = _parts(bound)
    split = [(radio, *str(radio.choice_label).partition("|")[::2]) for radio in bound]
    return {**parts, "options": split}


def form_errors(form: BaseForm) -> dict[str, Any]:
    """What is wrong with the form as a whole."""
    return {"errors": form.non_field_errors()}


def register_form_tags(register: template.Library) -> None:
    register.inclusion_tag("components/field.html")(field)
    register.inclusion_tag("components/segmented_field.html")(segmented_field)
    register.inclusion_tag("components/options_field.html")(options_field)
    register.inclusion_tag("components/form_errors.html")(form_errors)
