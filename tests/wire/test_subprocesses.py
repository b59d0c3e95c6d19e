"""Tornado's `Subprocess`, whose own way to hear of an exit uvloop refuses."""

import pytest

CODE = """
import sys
from subprocess import CalledProcessError

from tornado.process import Subprocess
from tornado.web import RequestHandler


Subprocess.initialize()


class Run(RequestHandler):
    async def get(self):
        process = Subprocess([sys.executable, "-c", self.get_argument("code")], stdout=Subprocess.STREAM)
        said = await process.stdout.read_until_close()
        if self.get_argument("late", ""):
            process.proc.wait()
        exits = [process.wait_for_exit(raise_error=False), process.wait_for_exit()]
        status = await exits[0]
        try:
            failed = await exits[1] != status
        except CalledProcessError as error:
            failed = error.returncode
        self.write({"said": said.decode(), "status": status, "kept": process.returncode, "failed": failed})


routes = [("/run", Run)]
"""


@pytest.fixture(params=["uvloop", "asyncio"])
def server(request, start_server, tmp_path):
    (tmp_path / "runs.py").write_text(CODE)
    return start_server("--native", "runs:routes", "--loop", request.param, cwd=tmp_path)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("import time; print('a'); time.sleep(0.1)", 0),
        ("print('a'); exit(3)", 3),
        ("import os; print('a', flush=True); os.kill(os.getpid(), 9)", -9),
    ],
)
@pytest.mark.parametrize("late", ["", "1"], ids=["", "it-has-ended-by-then"])
def test_its_exit_is_heard_of(server, code, status, late):
    reply = server.get("/run?code=" + code.replace(" ", "%20").replace(";", "%3B") + "&late=" + late)
    assert reply.json() == {"said": "a\n", "status": status, "kept": status, "failed": status or False}
    assert "Traceback" not in server.log
