"""Settings of the test suite: a throw-away data folder, a fast password hash, SQLite or PostgreSQL.

`OPSSIGHT_TEST_DATABASE_URL` names a PostgreSQL; without it the suite runs on SQLite.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

_data = tempfile.mkdtemp(prefix="opssight-test-")
atexit.register(shutil.rmtree, _data, ignore_errors=True)
for _name in [name for name in os.environ if name.startswith("OPSSIGHT_") and "TEST" not in name]:
    del os.environ[_name]
os.mkdir(os.path.join(_data, "static"))
os.environ["OPSSIGHT_DATA"] = _data
os.environ["OPSSIGHT_LOG_LEVEL"] = "warning"
os.environ["OPSSIGHT_LEASE_SECONDS"] = "3s"
if url := os.environ.get("OPSSIGHT_TEST_DATABASE_URL"):
    os.environ["OPSSIGHT_DATABASE_URL"] = url

from opssight.settings import *  # noqa: E402, F403
from opssight.settings import DATABASES, INSTALLED_APPS, JOB_KINDS  # noqa: E402

INSTALLED_APPS = [*INSTALLED_APPS, "tests.kinds.probe"]
JOB_KINDS = {**JOB_KINDS, "probe": "tests.kinds.probe"}

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # a file: tests with threads and processes need one database, not one each
    DATABASES["default"]["TEST"] = {"NAME": os.path.join(_data, "test.sqlite3")}
