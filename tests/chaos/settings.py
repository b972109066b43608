"""The product's own settings, with an app that kills workers where a test asks for it."""

from __future__ import annotations

from opssight.settings import *  # noqa: F403
from opssight.settings import INSTALLED_APPS, JOB_KINDS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.chaos.killer", "tests.kinds.probe"]
JOB_KINDS = {**JOB_KINDS, "probe": "tests.kinds.probe"}
