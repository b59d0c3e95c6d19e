"""A native handler that blocks the event loop is named in the log, while it does."""

import pytest

SERVE = ("--native", "tests.apps.natives:routes")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_handler_that_blocks_the_loop_is_named_in_the_log(start_server, loop):
    server = start_server(*SERVE, "--loop", loop)
    with server.connect() as connection:
        connection.send_request("GET", "/native/block?seconds=4.5")
        (line,) = server.log_lines("the event loop has been blocked for ")
        assert "runs again" not in server.log  # the point is that it was logged meanwhile
        assert " WARNING " in line
        assert connection.reply().text == "done"
    assert server.log_lines("the event loop runs again, after ")
    told = server.log.partition(line)[2].splitlines()
    innermost = [text for text in told if text.startswith("  File")][-1]
    assert innermost.endswith("in sleep_as_no_handler_should")
    assert "natives.py" in innermost
    server.stop()
