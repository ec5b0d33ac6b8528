"""Listeners as /proc shows them, on real sockets."""

import os
import socket
import subprocess
import sys
import time

from wizard.system.host import Host
from wizard.system.sockets import Listener, listeners

COMES_AND_GOES = """
import socket, sys, time
while True:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", int(sys.argv[1])))
        one.listen()
        print("up", flush=True)
        time.sleep(0.03)
    time.sleep(0.005)
"""


def test_a_listener_is_named_with_its_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (found,) = (item for item in listeners(Host()) if item.port == port)
    assert (found.address, found.pid) == ("127.0.0.1", os.getpid())


def test_a_listener_that_just_ended_is_not_one_that_nobody_holds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = [sys.executable, "-c", COMES_AND_GOES, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            seen: list[Listener] = []
            end = time.monotonic() + 60
            while len(seen) < 50 and time.monotonic() < end:
                seen += [listener for listener in listeners(Host()) if listener.port == port]
        finally:
            child.kill()
    assert seen
    assert all(item.pid == child.pid for item in seen)
