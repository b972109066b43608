"""Django's settings, made from the environment that `opssight.core.env` reads and checks.

Every `OPSSIGHT_X` is `settings.X`; what is here beside that is how the parts are put together.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from opssight.core import env as environment
from opssight.core.keys import file_secret
from opssight.core.logs import logging_config
from opssight.kinds import KINDS, REPOSITORY_KINDS  # noqa: F401 - read from the settings

BASE_DIR = Path(__file__).resolve().parent.parent
ENV = environment.load(os.environ)

# --- from the environment, by name -------------------------------------------------------------

DATA = ENV.data
STORES = ENV.stores
STORE_QUOTA = ENV.store_quota
FOLDER_ROOTS = ENV.folder_roots
PUBLIC_URL = ENV.public_url
LEASE_SECONDS = ENV.lease_seconds
STALL_SECONDS = ENV.stall_seconds
POLL_SECONDS = ENV.poll_seconds
MAX_ATTEMPTS = ENV.max_attempts
WORKERS = ENV.workers
LANES = ENV.lanes
LOG_DAYS = ENV.log_days
DELIVERY_DAYS = ENV.delivery_days
RUN_DAYS = ENV.run_days
HOOK_RATE = ENV.hook_rate
HOOK_REFUSED_RATE = ENV.hook_refused_rate
HOOK_BYTES = ENV.hook_bytes
COPIER_WEBHOOK = ENV.copier_webhook
SIGNING_KEY = ENV.signing_key
SIGNING_PASSPHRASE = ENV.signing_passphrase
API_RATE = ENV.api_rate
SIGNIN_RATE = ENV.signin_rate
SIGN_IN = ENV.sign_in
SIGN_UP_DOMAINS = ENV.sign_up_domains
METRICS_TOKEN = ENV.metrics_token
ANONYMOUS_METRICS = ENV.anonymous_metrics
TRUSTED_PROXIES = ENV.trusted_proxies

# --- Django --------------------------------------------------------------------------------------

DEBUG = ENV.debug
SECRET_KEY = ENV.secret_key or file_secret(DATA / "secret_key")
SECRET_KEY_FALLBACKS = list(ENV.secret_key_fallbacks)
ALLOWED_HOSTS = list(ENV.hosts)
ROOT_URLCONF = "opssight.urls"
WSGI_APPLICATION = "opssight.wsgi.application"
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["opssight.accounts.backends.EmailBackend"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
USE_I18N = False

JOB_KINDS = KINDS

INSTALLED_APPS = [
    "opssight.pages",
    "opssight.web",
    "opssight.api",
    "opssight.accounts",
    "opssight.audit",
    "opssight.notices",
    "repos",
    "syncs",
    *KINDS.values(),
    "opssight",
    "opssight.accounts.apps.AdminSiteConfig",  # django.contrib.admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_filters",
    "django_q",
    "rest_framework",
    "social_django",
    "drf_spectacular",
]

MIDDLEWARE = [
    "opssight.health.ProbesMiddleware",
    "opssight.web.proxies.TrustedProxyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "opssight.accounts.middleware.RequestIdMiddleware",
    "opssight.web.csp.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "opssight.accounts.middleware.PrincipalMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "opssight.web.context.shell",
            ],
        },
    },
]

DATABASES = {
    "default": {
        **ENV.database_url.django(verify=ENV.production, ca=ENV.database_ca),
        # no pool: it breaks in forked processes
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
    }
}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "django_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},  # a full cache forgets ceilings and failed sign-ins
    }
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"

# --- HTTP ------------------------------------------------------------------------------------------

_SECURE = ENV.production and not ENV.allow_http
SECURE_SSL_REDIRECT = ENV.https_redirect
SECURE_HSTS_SECONDS = ENV.hsts_seconds
SECURE_HSTS_INCLUDE_SUBDOMAINS = False  # other services may live below this host
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = _SECURE
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = int(ENV.session_seconds)
SESSION_COOKIE_NAME = "__Host-opssight" if _SECURE else "opssight"
CSRF_COOKIE_SECURE = _SECURE
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_NAME = "__Host-opssight-csrf" if _SECURE else "opssight-csrf"
CSRF_TRUSTED_ORIGINS = [ENV.public_url] if ENV.public_url.startswith("https://") else []
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 5_000_000  # forms and API; deliveries have a limit of their own
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000

STATIC_URL = "static/"
STATIC_ROOT = DATA / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = not ENV.production
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if ENV.production
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# --- API ---------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "opssight.api.authentication.BearerAuthentication",
        "opssight.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["opssight.api.permissions.RoleAndScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "opssight.api.pagination.Cursor",
    "DEFAULT_THROTTLE_CLASSES": ["opssight.api.throttling.PrincipalThrottle"],
    "DEFAULT_VERSIONING_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "opssight.api.problems.handle",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "OpsSight API",
    "DESCRIPTION": "One control plane for every git repository a team owns.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "RunState": "syncs.models.RunState",
        "ItemState": "syncs.models.ItemState",
        "RepositoryState": "repos.models.Repository.State",
        "ConnectionState": "repos.models.Connection.State",
        "WebhookState": "repos.models.Webhook.State",
        "YesNo": "repos.filters.YES_NO",
        "FoundState": "repos.filters.STATES",
        "FoundVisibility": "repos.filters.VISIBILITIES",
        "CopyRuleState": "syncs.copy.saved.states.STATES",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "opssight.api.schema.add_problems",
    ],
}

# --- the doorbell: see syncs.engine.queue -----------------------------------------------------------

Q_CLUSTER = {
    "name": "opssight",
    "orm": "default",
    "workers": WORKERS,
    # a run that does not move loses its lease, which is the real timeout; and a bell that comes
    # again is just another bell
    "timeout": 7 * 86_400,
    "retry": 8 * 86_400,
    "max_attempts": 1,
    "ack_failures": True,
    "queue_limit": 1,
    "bulk": 1,
    "poll": 0.1,
    "save_limit": -1,
    "catch_up": False,
    "scheduler": False,
    "recycle": 200,
    "guard_cycle": 0.2,
    "log_level": "WARNING",
    "ALT_CLUSTERS": {},
}

# --- mail, logs ------------------------------------------------------------------------------------

DEFAULT_FROM_EMAIL = SERVER_EMAIL = ENV.email_from
EMAIL_BACKEND = (
    "django.core.mail.backends.smtp.EmailBackend"
    if ENV.email_url.host
    else "django.core.mail.backends.console.EmailBackend"
)
EMAIL_HOST = ENV.email_url.host
EMAIL_PORT = ENV.email_url.port
EMAIL_HOST_USER = ENV.email_url.user
EMAIL_HOST_PASSWORD = ENV.email_url.password
EMAIL_USE_TLS = ENV.email_url.starttls
EMAIL_USE_SSL = ENV.email_url.tls
EMAIL_TIMEOUT = 30

LOGGING = logging_config(ENV)

# W004/W008 (HSTS, HTTPS redirect): on in production mode; SILENCED only where plain HTTP was asked for.
# W005/W021: subdomains and preload are the operator's decision, not ours.
# auth.W004: the e-mail address is unique without regard to case, by a constraint Django does not see.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021", "auth.W004"]
