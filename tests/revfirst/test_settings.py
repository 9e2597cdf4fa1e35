"""Bad settings are one clear list and a non-zero exit, never a traceback, never a secret."""

import subprocess

import pytest

from tests.environments import FERNET_KEY, PRODUCTION, bare, on_our_servers, settings_of
from tests.worlds import manage

REQUIRED = sorted(PRODUCTION.keys() - {"ENVIRONMENT"})


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """What a refused start said, which must be no traceback."""
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("RevFirst cannot start: ")
    return done.stderr


@pytest.fixture
def check(tmp_path):
    """Run `manage.py check` with nothing but these variables."""

    def run(**variables: str) -> subprocess.CompletedProcess[str]:
        return manage("check", env=bare(tmp_path, **variables))

    return run


def test_nothing_needs_to_be_set_for_a_first_look(check):
    assert check().returncode == 0


def test_production_names_everything_that_is_missing_in_one_message(check):
    said = refusal(check(ENVIRONMENT="production"))
    assert [name for name in REQUIRED if f" - {name} must be set in production." in said] == (
        REQUIRED
    )
    assert len(said.splitlines()) == 1 + len(REQUIRED)


@pytest.mark.parametrize("name", REQUIRED)
def test_production_does_not_start_without(check, name):
    assert f" - {name} must be set" in refusal(check(**PRODUCTION | {name: ""}))


def test_production_with_everything_set_passes_the_deploy_check_without_a_warning(tmp_path):
    done = manage("check", "--deploy", "--fail-level=DEBUG", env=bare(tmp_path, **PRODUCTION))
    assert (done.returncode, done.stderr) == (0, "")


def test_production_makes_no_secrets_of_its_own(tmp_path):
    settings_of(bare(tmp_path, **PRODUCTION))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PUBLISHING_DIRECT_API_ENABLED", "true", "must be false in production"),
        ("DEBUG", "true", "must be false in production"),
        ("X_API_BASE_URL", "http://api.x.com", "must be https"),
        ("X_API_BASE_URL", "https://127.0.0.1:8001", "not a loopback address"),
        ("X_TOKEN_URL", "https://localhost/2/oauth2/token", "not a loopback address"),
        ("X_REVOKE_URL", "https://[::1]/2/oauth2/revoke", "not a loopback address"),
        ("X_AUTHORIZE_URL", "http://x.com/i/oauth2/authorize", "must be https"),
        ("X_REDIRECT_URI", "http://revfirst.example/integrations", "must be https"),
        ("X_WEB_BASE_URL", "http://x.com", "must be https"),
        ("APP_PUBLIC_BASE_URL", "http://revfirst.example", "https in production"),
        ("APP_PUBLIC_BASE_URL", "https://ana:secret@revfirst.example", "https in production"),
        ("SECRET_KEY", "a", "at least 50 characters"),
        ("SECRET_KEY", "a" * 60, "not all the same"),
        *(
            ("X_API_BASE_URL", f"https://{host}", "not a loopback address")
            for host in ("127.1", "0", "localhost.", "a.localhost", "[::ffff:127.0.0.1]")
        ),
    ],
)
def test_production_refuses(check, name, value, sentence):
    said = refusal(check(**PRODUCTION | {name: value}))
    assert f" - {name} must be" in said
    assert sentence in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENVIRONMENT", "prod"),
        ("DEBUG", "maybe"),
        ("METRICS_ENABLED", "2"),
        ("WORKER_PROCESSES", "0"),
        ("WORKER_PROCESSES", "-1"),
        ("APPROVAL_TTL_HOURS", "a day"),
        ("APPROVAL_TTL_HOURS", "٣"),
        ("PUBLISH_CONCURRENCY", "1.5"),
        ("SENTRY_TRACES_SAMPLE_RATE", "1.1"),
        ("SENTRY_DSN", "sentry.example/7"),
        ("X_FIELD_DIALECT", "newest"),
        ("X_ACCESS_TIER", "gold"),
        ("LOG_LEVEL", "loud"),
        ("APP_PUBLIC_BASE_URL", "revfirst.example"),
        ("APP_PUBLIC_BASE_URL", "https://[oops"),
        ("X_TOKEN_URL", "ftp://x.com"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis://host:port/0"),
        ("APP_PUBLIC_BASE_URL", "http://host:port"),
        ("APP_PUBLIC_BASE_URL", "http://host/path?query"),
        ("APPROVAL_TTL_HOURS", "99999999999999"),
        ("X_REFRESH_SKEW_SECONDS", "100001"),
        ("RENEW_CONCURRENCY", "0"),
        ("TOKEN_ENCRYPTION_KEY", "not a key"),
        ("TOKEN_ENCRYPTION_KEY", ","),
        ("TOKEN_ENCRYPTION_KEY", f"{FERNET_KEY},c2hvcnQ="),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(check, name, value):
    assert f" - {name} must be" in refusal(check(**{name: value}))


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///var/db.sqlite3",
        "mysql://a:canary@db.example/x",
        "postgre://a:canary@db.example/x",
        "canary",
        "postgres://a:canary@db.example:port/x",
        "postgres://a:canary@db.example:99999999/x",
        "postgres://[canary/x",
        "postgres://a:canary@db.example",
    ],
)
def test_a_database_url_that_is_no_postgresql_url_is_refused_without_its_password(check, url):
    said = refusal(check(DATABASE_URL=url))
    assert " - DATABASE_URL " in said
    assert "canary" not in said


def test_two_mistakes_are_told_together(check):
    said = refusal(check(DEBUG="maybe", X_ACCESS_TIER="gold"))
    assert "DEBUG" in said
    assert "X_ACCESS_TIER" in said


def test_a_blank_variable_counts_as_not_set(tmp_path):
    blank = bare(tmp_path, APPROVAL_TTL_HOURS="", DEBUG=" ", SECRET_KEY="", X_API_BASE_URL="")
    found = settings_of(blank)
    assert found == settings_of(bare(tmp_path))
    assert found["APPROVAL_TTL_HOURS"] == 24


def test_a_secret_may_begin_with_a_dollar_sign(tmp_path):
    found = settings_of(bare(tmp_path, SECRET_KEY="$PATH", X_CLIENT_SECRET="$nothing"))
    assert (found["SECRET_KEY"], found["X_CLIENT_SECRET"]) == ("$PATH", "$nothing")


def test_the_env_file_is_read_and_the_environment_wins(tmp_path):
    (tmp_path / ".env").write_text(
        "\ufeff# ours\n\n  # indented\n \nexport METRICS_TOKEN='with space'\nSECRET_KEY=file\n"
    )
    found = settings_of(bare(tmp_path, SECRET_KEY="environment"))
    assert (found["METRICS_TOKEN"], found["SECRET_KEY"]) == ("with space", "environment")


@pytest.mark.parametrize("line", ["SECRET_KEY canary", "= canary", "9LIVES=canary", "A B=canary"])
def test_a_malformed_line_of_the_env_file_is_named_by_file_and_number(tmp_path, line):
    file = tmp_path / ".env"
    file.write_text(f"# fine\nDEBUG=false\n{line}\n")
    said = refusal(manage("check", env=bare(tmp_path)))
    assert f"{file}, line 3: expected KEY=value or a comment." in said
    assert "canary" not in said


def test_an_env_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / ".env").write_bytes(b"SECRET_KEY=\xff\xfe\n")
    assert ".env cannot be read: it is not UTF-8 text." in refusal(
        manage("check", env=bare(tmp_path))
    )


def test_a_var_folder_that_cannot_be_used_is_one_sentence(tmp_path):
    (tmp_path / "var").write_text("a file in its place")
    said = refusal(manage("check", env=bare(tmp_path)))
    assert f"{tmp_path / 'var'} cannot be used: Not a directory." in said


@pytest.mark.parametrize("name", ["secrets.json", "embedded.json"])
def test_a_damaged_file_under_var_is_named(tmp_path, name):
    settings_of(bare(tmp_path))
    (tmp_path / "var" / name).write_text("{")
    said = refusal(manage("check", env=bare(tmp_path)))
    assert f"{tmp_path / 'var' / name} is damaged" in said


def test_an_unreachable_database_is_one_sentence_with_a_hint_and_without_the_password(tmp_path):
    done = manage("audit_verify", env=bare(tmp_path, **PRODUCTION))
    assert done.returncode == 1
    assert done.stderr.startswith("The database at 127.0.0.1:1 does not answer (")
    assert done.stderr.endswith("Check DATABASE_URL.\n")
    assert len(done.stderr.splitlines()) == 1
    assert "canary-password" not in done.stderr


def test_with_no_database_at_all_the_hint_is_to_make_the_demo(tmp_path):
    done = manage("audit_verify", env=bare(tmp_path))
    assert done.returncode == 1
    assert done.stderr.endswith("Run 'make demo' first, or set DATABASE_URL.\n")
    assert "Traceback" not in done.stderr


def test_the_servers_of_the_demo_are_found_through_var(tmp_path):
    settings_of(bare(tmp_path))
    (tmp_path / "var" / "embedded.json").write_text(
        '{"database_url": "postgres://me@127.0.0.1:7777/found", "redis_url": "redis://127.0.0.1:8"}'
    )
    found = settings_of(bare(tmp_path))
    assert (found["DATABASES"]["default"]["PORT"], found["REDIS_URL"]) == (
        7777,
        "redis://127.0.0.1:8",
    )


def test_staging_shows_no_debug_pages_either(check):
    """They show what a function holds: tokens too."""
    assert "DEBUG must be false in staging" in refusal(check(ENVIRONMENT="staging", DEBUG="true"))


def test_production_keeps_what_was_sent(check):
    url = f"{PRODUCTION['DATABASE_URL']}?options=-c%20synchronous_commit%3Doff"
    said = refusal(check(**PRODUCTION | {"DATABASE_URL": url}))
    assert "synchronous_commit" in said
    assert "canary" not in said


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('METRICS_TOKEN="abc" # mine', "nothing behind the closing quote"),
        ("METRICS_TOKEN='abc", "nothing behind the closing quote"),
        ("X_CLIENT_ID=id # mine", "a comment has a line of its own"),
        ("X_CLIENT_ID=i\x00d", "a NUL"),
    ],
)
def test_a_line_that_would_be_read_otherwise_than_it_looks_is_named(
    tmp_path, check, line, sentence
):
    (tmp_path / ".env").write_text(f"DEBUG=false\n{line}\n")
    said = refusal(check())
    assert "line 2" in said
    assert sentence in said


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("METRICS_TOKEN=a#b", "a#b"),
        ('METRICS_TOKEN="a # b"', "a # b"),
        ("METRICS_TOKEN='a # b'", "a # b"),
        ("export METRICS_TOKEN=abc", "abc"),
        ("METRICS_TOKEN=", ""),
    ],
)
def test_a_value_is_read_as_it_looks(tmp_path, line, value):
    (tmp_path / ".env").write_text(f"# a comment\n{line}\n")
    assert settings_of(bare(tmp_path))["METRICS_TOKEN"] == value


def test_an_env_file_that_is_none_is_named(tmp_path, check):
    (tmp_path / ".env").mkdir()
    assert "it is no file" in refusal(check())


@pytest.mark.parametrize("command", ["qcluster", "kill_switch"])
def test_without_a_database_a_command_says_so_in_one_sentence(tmp_path, command):
    words = [command, "status"] if command == "kill_switch" else [command]
    url = PRODUCTION["DATABASE_URL"]
    done = manage(*words, env=bare(tmp_path, DATABASE_URL=url))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "127.0.0.1:1 does not answer" in done.stderr


def test_a_database_without_our_tables_is_named(tmp_path, transactional_db):
    env = on_our_servers(tmp_path)
    env["DATABASE_URL"] = env["DATABASE_URL"].rpartition("/")[0] + "/postgres"
    done = manage("kill_switch", "status", env=env)
    assert (done.returncode, done.stderr.strip()) == (
        1,
        "The database is not prepared: run 'manage.py migrate' first.",
    )


def test_an_option_that_libpq_does_not_know_is_named(tmp_path, transactional_db):
    env = on_our_servers(tmp_path)
    env["DATABASE_URL"] += "?foo=bar"
    done = manage("kill_switch", "status", env=env)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert 'DATABASE_URL cannot be used: invalid connection option "foo"' in done.stderr


def test_another_projects_settings_are_none_of_ours(tmp_path):
    done = manage("check", env=bare(tmp_path, DJANGO_SETTINGS_MODULE="other.settings"))
    assert (done.returncode, done.stderr) == (0, "")
