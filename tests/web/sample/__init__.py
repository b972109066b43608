"""One invented installation, in the shapes the components take."""

from __future__ import annotations

from tests.web.sample.base import *  # noqa: F403
from tests.web.sample.files import *  # noqa: F403
from tests.web.sample.forms import *  # noqa: F403
from tests.web.sample.frame import *  # noqa: F403
from tests.web.sample.overview import *  # noqa: F403
from tests.web.sample.repository import *  # noqa: F403
from tests.web.sample.run import *  # noqa: F403
