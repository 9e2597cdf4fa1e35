"""Every setting, in titled sections. The only reader of the environment.

Importing this module starts nothing. Outside production, secrets that nobody set are generated
once under var/ and the servers that `make demo` started are found through var/embedded.json.
"""

import io
import os
import re
import socket
from base64 import urlsafe_b64decode
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from revfirst import __version__, generated
from revfirst.embedded import read_state

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = __version__


# --- Reading the environment --------------------------------------------------------------------


def _read_env_file(path: Path) -> None:
    """Take `path` into the environment; names a line that is neither KEY=value nor a comment."""
    if not path.exists():
        return
    if not path.is_file():
        raise ImproperlyConfigured(f"{path} cannot be read: it is no file.")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except OSError as error:
        raise ImproperlyConfigured(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ImproperlyConfigured(f"{path} cannot be read: it is not UTF-8 text.") from None
    for number, line in enumerate(lines, start=1):
        if objection := _objection(line):
            raise ImproperlyConfigured(f"{path}, line {number}: {objection}.")
    environ.Env.read_env(io.StringIO("\n".join(lines)))


def _objection(line: str) -> str:
    """What is wrong with a line of the file; a value that would be read otherwise than it looks, too."""
    assigned = re.match(r"(?:export )?[A-Za-z_][A-Za-z_0-9]*=(.*)", line)
    if "\x00" in line:
        return "it holds a NUL, which no variable can"
    if not assigned:
        return "" if not line or line.startswith("#") else "expected KEY=value or a comment"
    value = assigned[1].strip()
    quoted = re.fullmatch(r"""(?P<quote>["'])(?:\\.|(?!(?P=quote)).)*(?P=quote)""", value)
    if value[:1] in ('"', "'") and not quoted:
        return "expected nothing behind the closing quote; a comment has a line of its own"
    if not quoted and re.search(r"\s#", value):
        return "a comment has a line of its own; a value with # in it stands in quotes"
    return ""


# By variable, the first of each, and told together at the end: nobody likes to meet them one by one.
_problems: dict[str, str] = {}


def _insist(condition: object, sentence: str) -> None:
    """Keep `sentence`, which begins with the variable's name, unless `condition` holds."""
    if not condition:
        _problems.setdefault(sentence.split()[0], sentence)


_read_env_file(Path(os.environ.get("REVFIRST_ENV_FILE") or BASE_DIR / ".env"))


def _text(name: str, default: str = "") -> str:
    """The variable's value; a blank one counts as not set.

    Read as it stands: django-environ would take a secret that begins with `$` for a variable's name.
    """
    return os.environ.get(name, "").strip() or default


def _flag(name: str, default: bool) -> bool:
    value = _text(name, str(default)).lower()
    known = {"true", "1", "yes", "on", "false", "0", "no", "off"}
    _insist(value in known, f"{name} must be true or false.")
    return value in {"true", "1", "yes", "on"}


def _number(name: str, default: int, *, at_least: int = 0, at_most: int = 100_000) -> int:
    value = _text(name, str(default))
    good = re.fullmatch(r"[0-9]{1,9}", value) and at_least <= int(value) <= at_most
    _insist(good, f"{name} must be a whole number of at least {at_least} and at most {at_most:,}.")
    return int(value) if good else default


def _share(name: str, default: float) -> float:
    value = _text(name, str(default))
    good = re.fullmatch(r"0(\.\d+)?|1(\.0+)?", value)
    _insist(good, f"{name} must be a number from 0 to 1.")
    return float(value) if good else default


def _choice(name: str, default: str, *others: str) -> str:
    value = _text(name, default)
    _insist(value in {default, *others}, f"{name} must be {' or '.join([default, *others])}.")
    return value


def _parts(url: str) -> SplitResult:
    """The URL's parts; all blank when it cannot be read."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # a port that is no number is told here only
    except ValueError:
        return urlsplit("")
    return parts


def _is_this_machine(host: str) -> bool:
    """Whether the name is one of the machine's own, in any spelling that a resolver takes."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(socket.inet_aton(name) if ":" not in name else name)
    except (OSError, ValueError):
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def _is_fernet_key(key: str) -> bool:
    try:
        return len(urlsafe_b64decode(key)) == 32
    except ValueError:
        return False


# --- Environment and generated secrets ----------------------------------------------------------

ENVIRONMENT = _choice("ENVIRONMENT", "development", "staging", "production")
IN_PRODUCTION = ENVIRONMENT == "production"
REQUIRED_IN_PRODUCTION = (
    "SECRET_KEY",
    "TOKEN_ENCRYPTION_KEY",
    "DATABASE_URL",
    "REDIS_URL",
    "X_CLIENT_ID",
    "X_CLIENT_SECRET",
    "X_REDIRECT_URI",
    "APP_PUBLIC_BASE_URL",
)
for _name in REQUIRED_IN_PRODUCTION:
    _insist(_text(_name) or not IN_PRODUCTION, f"{_name} must be set in production.")

VAR_DIR = Path(_text("REVFIRST_VAR_DIR", str(BASE_DIR / "var")))
try:
    _generated = {} if IN_PRODUCTION else generated.load_or_create(VAR_DIR)
    _embedded = {} if IN_PRODUCTION else read_state(VAR_DIR)
except OSError as error:
    raise ImproperlyConfigured(f"{VAR_DIR} cannot be used: {error.strerror}.") from None
except ValueError as error:  # a damaged file, which it names
    raise ImproperlyConfigured(f"{error}.") from None

SECRET_KEY = _text("SECRET_KEY", _generated.get("SECRET_KEY", ""))
_insist(
    len(SECRET_KEY) >= 50 and len(set(SECRET_KEY)) >= 5 or not IN_PRODUCTION,
    "SECRET_KEY must be at least 50 characters long in production, and not all the same.",
)
TOKEN_ENCRYPTION_KEYS = [
    key.strip()
    for key in _text("TOKEN_ENCRYPTION_KEY", _generated.get("TOKEN_ENCRYPTION_KEY", "")).split(",")
    if key.strip()
]
_insist(
    TOKEN_ENCRYPTION_KEYS and all(map(_is_fernet_key, TOKEN_ENCRYPTION_KEYS)),
    "TOKEN_ENCRYPTION_KEY must be one or more Fernet keys (32 bytes in url-safe base64), "
    "with commas between them.",
)
DEMO_PASSWORD = _generated.get("DEMO_PASSWORD", "")
COMMIT = _text("REVFIRST_COMMIT")


# --- Web ----------------------------------------------------------------------------------------

DEBUG = _flag("DEBUG", False)
_insist(
    ENVIRONMENT == "development" or not DEBUG,  # its pages show what a function holds, tokens too
    f"DEBUG must be false in {ENVIRONMENT}.",
)
WEB_BIND = _text("WEB_BIND", "127.0.0.1:8000")
WEB_CONCURRENCY = _number("WEB_CONCURRENCY", 2, at_least=1, at_most=512)
APP_PUBLIC_BASE_URL = _text(
    "APP_PUBLIC_BASE_URL", _embedded.get("web_base_url", "http://127.0.0.1:8000")
).rstrip("/")
_public = _parts(APP_PUBLIC_BASE_URL)
_insist(
    _public.scheme in ({"https"} if IN_PRODUCTION else {"http", "https"})
    and _public.hostname
    and not (_public.username or _public.path or _public.query or _public.fragment),
    "APP_PUBLIC_BASE_URL must be a URL such as https://revfirst.example (https in production).",
)
ALLOWED_HOSTS = [_public.hostname, "127.0.0.1", "localhost", "[::1]"]
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "django_prometheus",
    "csp",
    "django_q",
    "revfirst",
    "workspaces",
    "x_integration",
    "publishing",
    "control",
]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
ROOT_URLCONF = "revfirst.urls"
WSGI_APPLICATION = "revfirst.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]
APPEND_SLASH = False

AUTH_USER_MODEL = "workspaces.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("pt-br", "Português (Brasil)")]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles" if IN_PRODUCTION else None
# Production serves what collectstatic hashed and compressed; a first look reads the sources.
WHITENOISE_USE_FINDERS = not IN_PRODUCTION
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if IN_PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _public.scheme == "https"
SECURE_SSL_REDIRECT = IN_PRODUCTION
SECURE_REDIRECT_EXEMPT = [r"^health$", r"^health/live$", r"^metrics$", r"^version$"]
SECURE_HSTS_SECONDS = 31_536_000 if IN_PRODUCTION else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = IN_PRODUCTION
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if IN_PRODUCTION else None
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],  # the stock admin's icons
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "workspaces.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["workspaces.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["revfirst.parsers.DeepJSONParser"],
    "DEFAULT_THROTTLE_CLASSES": ["workspaces.throttles.CallerThrottle"],
    "DEFAULT_THROTTLE_RATES": {"key": "600/min", "user": "600/min", "anon": "60/min"},
    "DEFAULT_METADATA_CLASS": None,  # nobody needs OPTIONS here
    # Whom a stranger's request counts for: the address that our own proxy saw, never one they name.
    "NUM_PROXIES": 1 if IN_PRODUCTION else 0,
    "EXCEPTION_HANDLER": "revfirst.api.handle_exception",
    "DEFAULT_SCHEMA_CLASS": "workspaces.schema.ApiSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "RevFirst",
    "DESCRIPTION": "Propose, read, edit and reject; approving is for people, in the admin.",
    "VERSION": VERSION,
    "COMPONENT_SPLIT_PATCH": False,  # our PATCH says which fields it needs
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "workspaces.schema.null_or_a_shape",
    ],
    "ENUM_NAME_OVERRIDES": {
        "StateName": "publishing.states.State",
        "KindName": "publishing.models.Kind",
        "OutcomeName": "publishing.states.Outcome",
    },
}


# --- Database, cache, tasks ---------------------------------------------------------------------

_nowhere = "postgres://nobody@127.0.0.1:1/nowhere"
_database_url = _text("DATABASE_URL", _embedded.get("database_url", _nowhere))
DATABASE_HINT = (
    "Check DATABASE_URL."
    if _text("DATABASE_URL")
    else "Run 'make demo' first, or set DATABASE_URL."
)
if _parts(_database_url).scheme not in {"postgres", "postgresql"}:
    _insist(False, "DATABASE_URL must be a PostgreSQL URL (postgres://…).")
    _database_url = _nowhere  # of a scheme that it does not know, django-environ tells the password
try:
    _database = environ.Env.db_url_config(_database_url)
    _database["PORT"] = int(_database.get("PORT") or 5432)
except (ValueError, KeyError):
    _database = environ.Env.db_url_config(_nowhere)
    _insist(False, "DATABASE_URL is not a URL that can be read.")
_insist(_database["NAME"], "DATABASE_URL must name the database (postgres://host/database).")
_insist(
    not IN_PRODUCTION or "synchronous_commit" not in str(_database.get("OPTIONS", "")),
    "DATABASE_URL must leave synchronous_commit as it is in production: what was sent is never lost.",
)
# A server that is gone without a goodbye is given up after half a minute, not after two hours.
_GIVE_UP = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
# A statement that comes again is planned once a connection: half of the server's work is planning.
_PREPARED = {"server_side_binding": True, "prepare_threshold": 3}
DATABASES = {
    "default": {
        **_database,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {**_GIVE_UP, **_PREPARED, **_database.get("OPTIONS", {})},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = _text("REDIS_URL", _embedded.get("redis_url", "redis://127.0.0.1:1/0"))
_insist(
    _parts(REDIS_URL).scheme in {"redis", "rediss", "unix"}
    and (_parts(REDIS_URL).hostname or _parts(REDIS_URL).scheme == "unix"),
    "REDIS_URL must be a Redis URL (redis://…, rediss://… or unix://…).",
)
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 1, "SOCKET_TIMEOUT": 1},
    }
}
# Redis may be down: cache reads and throttles fail open.
DJANGO_REDIS_IGNORE_EXCEPTIONS = True
SESSION_ENGINE = "django.contrib.sessions.backends.db"

# The reasons for each value were measured: docs/adr/0003-tasks-are-nudges.md
WORKER_PROCESSES = _number("WORKER_PROCESSES", 3, at_least=1)
Q_CLUSTER = {
    "name": "revfirst",
    "orm": "default",
    "workers": WORKER_PROCESSES,
    "timeout": 60,
    "retry": 300,
    "ack_failures": True,
    "max_attempts": 1,
    "catch_up": False,
    "save_limit": 0,
    "queue_limit": 4,
    "bulk": 1,
    "poll": 0.1,  # seconds; a tap waits half of it, on average
    "label": "Tasks",
}


# --- X ------------------------------------------------------------------------------------------

_x_default = (
    "https://api.x.com" if IN_PRODUCTION else _embedded.get("x_base_url", "http://127.0.0.1:8001")
)
X_API_BASE_URL = _text("X_API_BASE_URL", _x_default).rstrip("/")
X_AUTHORIZE_URL = _text(
    "X_AUTHORIZE_URL",
    "https://x.com/i/oauth2/authorize" if IN_PRODUCTION else f"{X_API_BASE_URL}/i/oauth2/authorize",
)
X_WEB_BASE_URL = _text("X_WEB_BASE_URL", "https://x.com" if IN_PRODUCTION else X_API_BASE_URL)
X_TOKEN_URL = _text("X_TOKEN_URL", f"{X_API_BASE_URL}/2/oauth2/token")
X_REVOKE_URL = _text("X_REVOKE_URL", f"{X_API_BASE_URL}/2/oauth2/revoke")
X_CLIENT_ID = _text("X_CLIENT_ID", "revfirst-demo")
X_CLIENT_SECRET = _text("X_CLIENT_SECRET", _generated.get("X_CLIENT_SECRET", ""))
X_REDIRECT_URI = _text("X_REDIRECT_URI", f"{APP_PUBLIC_BASE_URL}/integrations/x/oauth/callback")
X_FIELD_DIALECT = _choice("X_FIELD_DIALECT", "legacy", "new")
X_ACCESS_TIER = _choice("X_ACCESS_TIER", "self_serve", "enterprise")
for _name, _url in (
    ("X_API_BASE_URL", X_API_BASE_URL),
    ("X_AUTHORIZE_URL", X_AUTHORIZE_URL),
    ("X_WEB_BASE_URL", X_WEB_BASE_URL),
    ("X_TOKEN_URL", X_TOKEN_URL),
    ("X_REVOKE_URL", X_REVOKE_URL),
    ("X_REDIRECT_URI", X_REDIRECT_URI),
):
    _found = _parts(_url)
    _insist(
        _found.scheme in {"http", "https"} and _found.hostname, f"{_name} must be an http(s) URL."
    )
    _insist(
        not IN_PRODUCTION
        or (_found.scheme == "https" and not _is_this_machine(_found.hostname or "")),
        f"{_name} must be https and not a loopback address in production.",
    )
X_AUTO_REFRESH_ENABLED = _flag("X_AUTO_REFRESH_ENABLED", True)
X_REFRESH_SKEW_SECONDS = _number("X_REFRESH_SKEW_SECONDS", 300)
X_REFRESH_LOCK_TTL_SECONDS = _number("X_REFRESH_LOCK_TTL_SECONDS", 30, at_least=1)
RENEW_CONCURRENCY = _number("RENEW_CONCURRENCY", 16, at_least=1)


# --- Publishing ---------------------------------------------------------------------------------

APPROVAL_TTL_HOURS = _number("APPROVAL_TTL_HOURS", 24, at_least=1)
PUBLISH_THREAD_COOLDOWN_MINUTES = _number("PUBLISH_THREAD_COOLDOWN_MINUTES", 45)
PUBLISH_AUTHOR_COOLDOWN_MINUTES = _number("PUBLISH_AUTHOR_COOLDOWN_MINUTES", 30)
MAX_REPLIES_PER_HOUR = _number("MAX_REPLIES_PER_HOUR", 8)
MAX_REPLIES_PER_DAY = _number("MAX_REPLIES_PER_DAY", 30)
MAX_CONSECUTIVE_PUBLISH_FAILURES = _number("MAX_CONSECUTIVE_PUBLISH_FAILURES", 3, at_least=1)
PUBLISH_CONCURRENCY = _number("PUBLISH_CONCURRENCY", 16, at_least=1)
CANDIDATES_FILE_PATH = _text("CANDIDATES_FILE_PATH", str(BASE_DIR / "deploy/candidates.yaml"))
REPLY_PROPOSERS = ("publishing.proposers.template.TemplateProposer",)  # asked in this order
BRAND_VOICE_FILE_PATH = _text("BRAND_VOICE_FILE_PATH", str(BASE_DIR / "deploy/brand_voice.yaml"))
OPT_OUTS_FILE_PATH = _text("OPT_OUTS_FILE_PATH", str(BASE_DIR / "deploy/opt_outs.yaml"))
PUBLISHING_DIRECT_API_ENABLED = _flag("PUBLISHING_DIRECT_API_ENABLED", False)
PUBLISHING_DIRECT_API_INTERNAL_KEY = _text("PUBLISHING_DIRECT_API_INTERNAL_KEY")
_insist(
    not (IN_PRODUCTION and PUBLISHING_DIRECT_API_ENABLED),
    "PUBLISHING_DIRECT_API_ENABLED must be false in production.",
)


# --- Observability ------------------------------------------------------------------------------

METRICS_ENABLED = _flag("METRICS_ENABLED", True)
METRICS_TOKEN = _text("METRICS_TOKEN")
SENTRY_DSN = _text("SENTRY_DSN")
_insist(
    not SENTRY_DSN or re.fullmatch(r"https?://[^\s@/]+@[^\s@/]+/(\S+/)?\d+", SENTRY_DSN),
    "SENTRY_DSN must be a DSN as Sentry shows it (https://key@host/project).",
)
SENTRY_TRACES_SAMPLE_RATE = _share("SENTRY_TRACES_SAMPLE_RATE", 0.0)
LOG_LEVEL = _choice("LOG_LEVEL", "INFO", "DEBUG", "WARNING", "ERROR", "CRITICAL")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "revfirst.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        # Their finer lines hold whole requests, or tell of every task.
        "urllib3": {"level": "INFO"},
        "django.db.backends": {"level": "INFO"},
        "django-q": {"level": "WARNING"},
    },
}
PROMETHEUS_EXPORT_MIGRATIONS = False
PROMETHEUS_METRIC_NAMESPACE = "revfirst"


if _problems:
    raise ImproperlyConfigured(
        "the settings need attention.\n - " + "\n - ".join(_problems.values())
    )
