"""Users of another server are told what its options are called here."""

import re

import pytest
from click.testing import CliRunner

from waterspout import foreign_options
from waterspout.cli import main, make_serve_command
from waterspout.foreign_options import find_ours, find_unread
from waterspout.options import OPTIONS

OURS = {name for options in OPTIONS.values() for option in options for name in option.opts}
THEIRS = sorted({*foreign_options._HERE, *foreign_options._NOT_HERE})


def test_what_is_ours_is_nobody_else_s():
    assert OURS.isdisjoint(THEIRS)
    assert find_ours("--nonsense") == find_ours("--host") == ""


@pytest.mark.parametrize("name", THEIRS)
def test_each_leads_to_options_that_there_are(name):
    said = find_ours(name)
    assert set(re.findall(r"--[\w-]+", said)) <= OURS
    assert said.endswith("(docs/gunicorn.md)")
    assert len(said) < 110


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bind", "0.0.0.0:80"], "no such option: --bind; use --host and --port (docs/gunicorn.md)"),
        (["-b0.0.0.0:80"], "no such option: -b; use --host and --port (docs/gunicorn.md)"),
        (["--workers=4"], "no such option: --workers; use --wsgi-workers (docs/gunicorn.md)"),
        (["-w", "4", "--threads", "8"], "no such option: -w; use --wsgi-workers (docs/gunicorn.md)"),
        (["-k", "gevent"], "use processes with threads: --wsgi-workers and --wsgi-threads"),
        (["--pythonpath", "src"], "there is none here: set PYTHONPATH (docs/gunicorn.md)"),
        (["--name", "shop"], "there is none here: WSGI processes are called waterspout-wsgi"),
        (["--wsgi-file", "app.py"], "no such option: --wsgi-file; use --wsgi, with the name of the module"),
        (["--preload"], "there is none here: each WSGI process loads the app by itself"),
        (
            ["--env-file", ".env"],
            "there is none here: use systemd's EnvironmentFile=, or load_dotenv() in the",
        ),
    ],
)
@pytest.mark.parametrize("is_own", [True, False])
def test_the_command_says_so(words, said, is_own):
    command, before = (make_serve_command("a:b"), []) if is_own else (main, ["serve"])
    result = CliRunner().invoke(command, [*before, *words])
    assert result.exit_code == 2
    line = result.stderr.strip().splitlines()[-1]
    assert said in line
    assert "Did you mean" not in line


@pytest.mark.parametrize(
    ("environ", "given", "said"),
    [
        ({}, (), ""),
        ({"PORT": "5000"}, (), "set, but not read here: PORT=5000 (ours is --port); see docs/gunicorn.md"),
        ({"PORT": "5000"}, ("port",), ""),
        ({"PORT": "5000"}, ("unix",), ""),
        ({"PORT": "5000"}, ("fd",), ""),
        ({"PORT": ""}, (), ""),
        (
            {"SCRIPT_NAME": "/shop"},
            (),
            "set, but not read here: SCRIPT_NAME=/shop (ours is --root-path); see docs/gunicorn.md",
        ),
        ({"SCRIPT_NAME": "/shop"}, ("root_path",), ""),
        ({"PORT": "8888", "WEB_CONCURRENCY": "1"}, (), ""),
        ({"PORT": "tcp://10.0.0.1:80"}, (), ""),
        (
            {"WEB_CONCURRENCY": "4", "FORWARDED_ALLOW_IPS": "*", "PORT": "80"},
            ("host",),
            "set, but not read here: PORT=80 (ours is --port), WEB_CONCURRENCY=4 (ours is --wsgi-workers), "
            "FORWARDED_ALLOW_IPS=* (ours is --trusted-proxies); see docs/gunicorn.md",
        ),
        ({"WEB_CONCURRENCY": "4", "FORWARDED_ALLOW_IPS": "*"}, ("wsgi_workers", "trusted_proxies"), ""),
        (
            {"GUNICORN_CMD_ARGS": "--bind x"},
            ("port",),
            "set, but not read here: GUNICORN_CMD_ARGS; see docs/gunicorn.md",
        ),
        ({"FLASK_APP": "shop", "FLASK_RUN_PORT": "1", "HOST": "h", "GUNICORN_CMD_ARGS": ""}, (), ""),
    ],
)
def test_a_variable_that_gunicorn_would_read_is_told(environ, given, said):
    assert find_unread(environ, given, {"port": 8888, "wsgi_workers": 1}) == said


def test_what_is_nearly_ours_is_still_suggested():
    assert "--wsgi-threads" in CliRunner().invoke(main, ["serve", "--wsgi-thread", "4"]).stderr
