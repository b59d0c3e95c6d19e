"""The command line: what it takes, and how it refuses the rest: one clear line, and a distinct exit code."""

import os
import socket
import subprocess
import sys

import pytest

from tests.server import FORMS, START_DEADLINE, environment, new_id, without_waiting

NATIVE = "tests.apps.natives:routes"
WSGI = "tests.apps.environs:app"
UNRESOLVED, BROKEN = 2, 3
MODULES = {
    "good.py": "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'good']\n"
    "def make():\n    return app\n"
    "class Callable:\n    def __call__(self, *a):\n        return app(*a)\n"
    "object_app = Callable()\nnumber = 7\n",
    "raising.py": "def inner():\n    raise ValueError('while importing')\ninner()\n",
    "caused.py": "try:\n    int('x')\nexcept ValueError as error:\n"
    "    raise RuntimeError('no settings') from error\n",
    "lacking.py": "import surely_no_such_module\n",
    "wrong.py": "def broken(:\n",
    "exiting.py": "import sys\nsys.exit(0)\n",
    "failing.py": "def make():\n    raise ValueError('in the factory')\ndef wants(argument):\n    pass\n",
    "pack/__init__.py": "",
    "pack/inner.py": "from good import app\n",
    "native.py": "from tests.apps.natives import routes\ntext = 'no routes'\n",
    "whole.py": "import tornado.web\nimport waterspout\nfrom native import routes\n"
    "stock = tornado.web.Application(routes)\n"
    "ours = waterspout.Application(native=routes, wsgi='good:app')\n"
    "def make():\n    return waterspout.Application(native=routes, wsgi='good:make()')\n",
}


@pytest.fixture
def project(tmp_path):
    """A folder with modules of all kinds, as the current directory of a user."""
    for name, text in MODULES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def run(project, *arguments, env=None):
    """Run to the end; a server that starts after all is ended by the deadline."""
    done = subprocess.run(
        [sys.executable, "-m", "waterspout", "serve", *arguments],
        cwd=project,
        env=environment(project, env),
        capture_output=True,
        text=True,
        timeout=START_DEADLINE,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    done.stderr = without_waiting(done.stderr)
    return done


#: An option that names something to load, and the form: together they decide which process loads it.
WHERE = pytest.mark.parametrize(
    ("option", "form"),
    [*(("--wsgi", words) for words in FORMS.values()), ("--native", ())],
    ids=[*FORMS, "native"],
)


def assert_one_line(done, code, *words):
    lines = done.stderr.strip().splitlines()
    assert done.returncode == code, done.stderr
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("nowhere:app", "nowhere"),
        ("pack.nowhere:app", "nowhere"),
        ("good:nothing", "nothing"),
        ("good:nothing()", "nothing"),
        ("good:number", "number"),
        ("good:number()", "number"),
        ("good", "good"),
        ("good:", "good"),
        (":app", ":app"),
        ("good.py:app", "good.py"),
        ("", ""),
    ],
)
def test_a_name_that_does_not_resolve_is_one_line_and_exit_code_2(project, name, word):
    """More such names: `waterspout/test_importer.py`."""
    done = run(project, "--wsgi", name, *FORMS["process"], "--port", "0")
    assert_one_line(done, UNRESOLVED, word)


@WHERE
@pytest.mark.parametrize("name", ["nowhere:app", "good:nothing", "good:number()"])
def test_whoever_loads_it(project, option, form, name):
    assert_one_line(run(project, option, name, *form, "--port", "0"), UNRESOLVED, name.strip("()"))


def test_a_target_that_does_not_resolve_is_one_line_and_exit_code_2(project):
    for name in ("nowhere:app", "whole:nothing", "good:number"):
        assert_one_line(run(project, name, "--port", "0"), UNRESOLVED)


def test_routes_that_are_no_routes_are_one_line_and_exit_code_2(project):
    assert_one_line(run(project, "--native", "native:text", "--port", "0"), UNRESOLVED, "native:text")


@WHERE
@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("raising", ("ValueError", "while importing", "raising.py", "inner")),
        ("caused", ("no settings", "because of ValueError: invalid literal", "-c 'import caused'")),
        ("lacking", ("surely_no_such_module", "lacking.py")),
        ("wrong", ("SyntaxError", "wrong.py", "-c 'import wrong' shows the whole traceback")),
    ],
)
def test_a_module_that_raises_is_one_line_with_its_last_frame_and_exit_code_3(
    project, option, form, module, words
):
    done = run(project, option, f"{module}:app", *form, "--port", "0")
    assert_one_line(done, BROKEN, *words)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["exiting:app", "failing:make()", "failing:wants()"])
def test_a_module_that_exits_or_a_factory_that_fails_is_no_success(project, form, name):
    done = run(project, "--wsgi", name, *FORMS[form], "--port", "0")
    assert done.returncode not in (0, -9)
    assert done.stderr.strip()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_debug_is_refused_on_any_address_but_loopback(project, host):
    done = run(project, "--wsgi", "good:app", "--debug", "--host", host, "--port", "0")
    assert done.returncode == 2
    assert "loopback" in done.stderr or "--debug" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("form", FORMS)
def test_a_port_in_use_is_one_clear_line(project, form):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run(project, "--wsgi", "good:app", *FORMS[form], "--port", port)
    assert done.returncode not in (0, -9)
    assert len(done.stderr.strip().splitlines()) == 1
    assert port in done.stderr


def test_an_address_that_is_not_ours_is_one_clear_line(project):
    done = run(project, "--wsgi", "good:app", "--host", "192.0.2.1", "--port", "0")
    assert done.returncode not in (0, -9)
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("whole:ours", "--wsgi", "good:app"),
        ("--wsgi", "good:app", "--port", "70000"),
        ("--wsgi", "good:app", "--port", "-1"),
        ("--wsgi", "good:app", "--port", "http"),
        ("--wsgi", "good:app", "--wsgi-threads", "0"),
        ("--wsgi", "good:app", "--wsgi-threads", "many"),
        ("--wsgi", "good:app", "--wsgi-workers", "-1"),
        ("--wsgi", "good:app", "--wsgi-queue", "-1"),
        ("--wsgi", "good:app", "--max-body-size", "12parsecs"),
        ("--wsgi", "good:app", "--max-body-size", "-1"),
        ("--wsgi", "good:app", "--native-max-body-size", ""),
        ("--wsgi", "good:app", "--graceful-timeout", "-1"),
        ("--wsgi", "good:app", "--graceful-timeout", "nan"),
        ("--wsgi", "good:app", "--loop", "twisted"),
        ("--wsgi", "good:app", "--trusted-proxies", "everybody"),
        ("--wsgi", "good:app", "--trusted-proxies", "10.0.0.0/99"),
        ("--wsgi", "good:app", "--no-such-option"),
        ("--wsgi", "good:app", "--debug", "--wsgi-workers", "2"),
    ],
    ids=lambda arguments: " ".join(arguments[2:]) or "nothing to serve",
)
def test_a_bad_option_is_exit_code_2(project, arguments):
    done = run(project, *arguments, *(() if "--port" in arguments else ("--port", "0")))
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "arguments",
    [
        ("--wsgi", "good:app"),
        ("--wsgi", "good:make()"),
        ("--wsgi", "good:object_app"),
        ("--wsgi", "pack.inner:app"),
        ("--native", "native:routes", "--wsgi", "good:app"),
        ("whole:ours",),
        ("whole:make()",),
    ],
    ids=" ".join,
)
def test_whatever_names_an_app_serves_it_from_the_current_directory(start_server, project, form, arguments):
    server = start_server(*arguments, form=form, cwd=project)
    assert server.get("/anything").text == "good"
    if len(arguments) != 2:
        assert server.get("/native/ping").text == "pong"


def test_native_routes_alone_can_be_served(start_server, project):
    for arguments in (("--native", "native:routes"), ("whole:stock",)):
        server = start_server(*arguments, cwd=project)
        assert server.get("/native/ping").text == "pong"
        assert server.get("/elsewhere").status == 404
        assert not server.wsgi_pids()
        server.stop()


@pytest.mark.parametrize("loop", ["auto", "asyncio", "uvloop"])
def test_either_event_loop_serves(start_server, project, loop):
    server = start_server("--native", "native:routes", "--wsgi", "good:app", "--loop", loop, cwd=project)
    assert (server.get("/native/ping").text, server.get("/x").text) == ("pong", "good")
    server.stop()


def test_options_can_come_from_the_environment(start_server, project):
    variables = {
        "WATERSPOUT_WSGI": "good:app",
        "WATERSPOUT_NATIVE": "native:routes",
        "WATERSPOUT_WSGI_WORKERS": "0",
    }
    server = start_server(cwd=project, env=variables)
    assert (server.get("/native/ping").text, server.get("/x").text) == ("pong", "good")
    assert not server.wsgi_pids()


def test_two_wsgi_processes_can_be_had(start_server):
    server = start_server("--wsgi", WSGI, "--wsgi-workers", "2", "--wsgi-threads", "1")
    assert len(server.wsgi_pids()) == 2
    assert server.ask("POST", "/method", body=new_id().encode()).status == 200
    server.stop()


def test_start_up_says_the_address_and_what_serves_what(start_server):
    server = start_server("--native", NATIVE, "--wsgi", WSGI)
    [line] = server.log_lines("http://")
    assert f"http://127.0.0.1:{server.port}" in line
    assert len(server.log.splitlines()) <= 3
    assert WSGI in server.log


def test_an_ended_start_leaves_nothing_behind(tmp_path):
    """A WSGI process that fails to import is neither left behind nor restarted forever."""
    (tmp_path / "raising.py").write_text(MODULES["raising.py"])
    command = [sys.executable, "-m", "waterspout", "serve", "--wsgi", "raising:app", "--port", "0"]
    options = {"cwd": tmp_path, "env": environment(tmp_path, None), "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, start_new_session=True, **options) as process:
        assert process.wait(START_DEADLINE) == BROKEN
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
