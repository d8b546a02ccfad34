"""Each fault of pyDistAlgo 1.1.0, made to happen, and its absence after the repair.

Each program below brings a fault about by its very order of events, not by waiting for luck, and runs twice, in a
Python of its own: with all repairs, and with all but the one in question, where the fault must show. So a repair
that a later change makes idle is found, and so is a test that shows nothing.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from diembft.distalgo.runtime import repairs
from diembft.distalgo.runtime.launch import ADAPTED, end_session, launch, processes_of, wait_until_gone

BEGIN = """
import sys, threading, time, socket, struct, os, random
from diembft.distalgo.runtime import adapter
from diembft.distalgo.runtime import repairs
without = sys.argv[1]
repairs.REPAIRS = tuple(repair for repair in repairs.REPAIRS if repair.name != without)
adapter.install()
import da
from da import common, sim
from da.transport import sock
from da.transport.mesgloop import SelectorLoop
common.GlobalOptions = {
    "message_buffer_size": 4096, "hostname": "127.0.0.1", "min_port": 10000, "max_port": 60000, "no_log": True,
    "record_trace": False, "nodename": "",
}

def transport():
    made = sock.TcpTransport(b"key")
    made.initialize()
    made.start(common.WaitableQueue(), SelectorLoop())
    return made

def address(of):
    return ("127.0.0.1", of.port)

def received(by, timeout=3):
    try:
        return by.queue.pop(timeout=timeout)[1]
    except common.QueueEmpty:
        return None
"""

LOST_WAKEUP = """
queue = common.WaitableQueue()
class Items(type(queue._q)):
    def popleft(self):
        try:
            return super().popleft()
        except IndexError:
            if not self.arrived:  # just after the look, just before the wait
                self.arrived = True
                queue.append("item")
            raise
queue._q = Items()
queue._q.arrived = False
began = time.monotonic()
item = queue.pop(timeout=2)
assert item == "item"
assert time.monotonic() - began < 1, "it slept beside the item"
"""

LOST_FIRST_MESSAGE = """
here, there = transport(), transport()
send_1, competing = sock.TcpTransport._send_1, []
def slow_welcome(self, data, conn, target=None):
    if self is here and data[0] == sock.WELCOME:
        # Somebody sends over the new connection, if he can see it, before the welcome is out.
        thread = threading.Thread(target=here.send, args=(b"from here", address(there)))
        thread.start()
        thread.join(0.5)
        competing.append(thread)
    return send_1(self, data, conn, target)
sock.TcpTransport._send_1 = slow_welcome
there.send(b"from there", address(here))
competing[0].join()
assert received(here) == b"from there"
assert received(there) == b"from here"
"""

DEAF_AFTER_RESET = """
here, there = transport(), transport()
busy, free = threading.Event(), threading.Event()
one, other = socket.socketpair()
def stay(conn, data):
    conn.recv(1)
    busy.set()
    free.wait()
here.mesgloop.register(one, stay)
other.send(b"x")
busy.wait()
# While the loop is busy, somebody connects and is gone, with a reset.
visitor = socket.create_connection(address(here))
visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
visitor.close()
free.set()
sock.TCP_DEFAULT_TIMEOUT = 1
try:
    there.send(b"later", address(here), retries=1)
except Exception as error:
    sys.exit(f"nobody answers: {error!r}")
assert received(here) == b"later"
"""

INTERLEAVED = """
class Connection:  # a connection that takes a message in pieces, as the kernel does when its buffer is full
    def __init__(self): self.taken = []
    def setsockopt(self, *option): pass
    def sendall(self, data):
        for byte in bytes(data):
            self.taken.append(byte)
            time.sleep(0.001)
here, connection = sock.TcpTransport(b"key"), Connection()
threads = [
    threading.Thread(target=here._send_1, args=([name * 20, name * 20], connection)) for name in (b"a", b"b")
]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert bytes(connection.taken) in (b"a" * 40 + b"b" * 40, b"b" * 40 + b"a" * 40), "the pieces are mixed"
"""

DELAYED = """
here, there = transport(), transport()
here.send(b"first", address(there))
connection = here.cache[address(there)]
assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), "small messages wait"
there.send(b"back", address(here))
assert there.cache[address(here)].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
assert received(there) == b"first"
assert received(here) == b"back"
"""

FEW_PORTS = """
# A range of 32 ports of which one is free.
random.seed(7)
while True:
    low = random.randint(10000, 60000)
    taken = []
    for port in range(low, low + 32):
        try:
            taken.append(socket.create_server(("127.0.0.1", port)))
        except OSError:
            break
    if len(taken) == 32:
        break
    for server in taken: server.close()
taken[5].close()
common.GlobalOptions.update(min_port=low, max_port=low + 31)
random.seed(1)
made = sock.TcpTransport(b"key")
made.initialize()
assert made.port == low + 5
"""

SHORT_BACKLOG = """
class Listener(socket.socket):
    def listen(self, backlog):
        self.backlog = backlog
        super().listen(backlog)
sock.socket.socket, plain = Listener, socket.socket
made = sock.TcpTransport(b"key")
made.initialize()
sock.socket.socket = plain
made.start(common.WaitableQueue(), SelectorLoop())
assert made.conn.backlog >= 100, "ten may wait"
"""

LOST_BEFORE_START = """
class Manager: queue = None
router, let_run = sim.Router(Manager()), threading.Event()
router.run = let_run.wait  # the thread has begun, and has not come to its first statement
router.start()
common._set_node("node")
router._send_remote = lambda *args, **kwargs: None
router.send("here", "there", "message")
let_run.set()
assert router.prestart_mesg_sink == [], "it waits in the list of early messages, which may be emptied just now"
"""

LOCK_HELD = """
held, release = threading.Event(), threading.Event()
def unpickle():
    with common.ProcessId._lock:
        held.set()
        release.wait()
threading.Thread(target=unpickle).start()
held.wait()
threading.Timer(0.3, release.set).start()
child = os.fork()
if child == 0:
    os._exit(0 if common.ProcessId._lock.acquire(timeout=2) else 1)
release.set()
assert os.waitpid(child, 0)[1] == 0, "the child waits for a lock that nobody holds"
"""

CASES = [
    ("lost wake-up", LOST_WAKEUP, "it slept beside the item"),
    ("lost first message", LOST_FIRST_MESSAGE, "max retries reached"),
    ("deaf after a reset", DEAF_AFTER_RESET, "nobody answers"),
    ("interleaved and slow sending", INTERLEAVED, "the pieces are mixed"),
    ("interleaved and slow sending", DELAYED, "small messages wait"),
    ("few tries for a port", FEW_PORTS, "Failed to bind to an available port"),
    ("short backlog", SHORT_BACKLOG, "ten may wait"),
    ("message lost before the start", LOST_BEFORE_START, "it waits in the list of early messages"),
    ("lock held over a fork", LOCK_HELD, "the child waits for a lock that nobody holds"),
]
"""The repair, the program, and what it says without the repair. Three more are seen from outside, see below."""


def test_every_repair_is_tried() -> None:
    outside = {"orphans", "unseen interrupt", "import as"}
    assert {*(name for name, _, _ in CASES), *outside} == {repair.name for repair in repairs.REPAIRS}


@pytest.mark.parametrize("code", [pytest.param(code, id=name) for name, code, _ in CASES])
def test_repaired(code: str) -> None:
    outcome = launch(["nothing"], front=["-c", BEGIN + code], timeout_s=30)
    assert outcome.status == 0, outcome.stderr


@pytest.mark.parametrize(("name", "code", "evidence"), CASES)
def test_the_fault_is_there_without_the_repair(name: str, code: str, evidence: str) -> None:
    outcome = launch([name], front=["-c", BEGIN + code], timeout_s=30)
    assert outcome.status == 1, "either the fault is no longer there, or the test does not show it"
    assert evidence in outcome.stderr


WAITING = """\
config(channel is fifo)
class P(process):
    def setup(): pass
    def run():
        await(False)
def main():
    ps = new(P, [], num=3)
    start(ps)
    print("started", flush=True)
    await(False)
"""


def started(program: Path, without: str) -> subprocess.Popen[bytes]:
    """A program without the repair of this name."""
    code = BEGIN.partition("import da\n")[0] + (
        "from da.__main__ import libmain; sys.argv[1:] = sys.argv[2:]; sys.exit(libmain())"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, without, "--no-log", str(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.mark.parametrize("with_repair", [True, False])
def test_children_end_with_a_killed_parent(with_repair: bool, tmp_path: Path) -> None:
    program = tmp_path / "program.da"
    program.write_text(WAITING)
    with started(program, "nothing" if with_repair else "orphans") as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"started\n"
            assert len(processes_of(process.pid)) == 4
            process.kill()
            process.wait()
            left = wait_until_gone(process.pid, 5.0 if with_repair else 0.5)
            assert len(left) == (0 if with_repair else 3)
        finally:
            end_session(process.pid)


@pytest.mark.parametrize("with_repair", [True, False])
def test_an_interrupt_that_another_thread_gets(with_repair: bool, tmp_path: Path) -> None:
    program = tmp_path / "program.da"
    heard_aside = "import signal, threading; signal.pthread_kill(threading.get_ident(), signal.SIGINT)"
    program.write_text(WAITING.replace('print("started", flush=True)', f'print("started", flush=True); {heard_aside}'))
    with started(program, "nothing" if with_repair else "unseen interrupt") as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"started\n"
            if with_repair:  # and the children, who have heard nothing, end with it
                assert process.wait(20) == 1
                assert wait_until_gone(process.pid, 2.0) == ()
            else:
                assert len(wait_until_gone(process.pid, 2.0)) == 4
        finally:
            end_session(process.pid)


def test_an_interrupt_after_main_has_returned(tmp_path: Path) -> None:
    program = tmp_path / "program.da"
    program.write_text(WAITING.rpartition("    await(False)\n")[0])
    with started(program, "nothing") as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"started\n"
            until = time.monotonic() + 20
            while len(processes_of(process.pid)) == 4:  # the first may come before `main` has returned
                process.send_signal(signal.SIGINT)
                assert time.monotonic() < until
                time.sleep(0.5)
            process.wait(20)
            assert wait_until_gone(process.pid, 5.0) == ()
        finally:
            end_session(process.pid)


def test_ctrl_c_ends_every_process(tmp_path: Path) -> None:
    # As a terminal does it: every process of the foreground gets the signal.
    program = tmp_path / "program.da"
    program.write_text(WAITING)
    with subprocess.Popen(
        [sys.executable, *ADAPTED, "--no-log", str(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"started\n"
            began = time.monotonic()
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(20) == 1
            assert wait_until_gone(process.pid, 2.0) == ()
            assert time.monotonic() - began < 15
        finally:
            end_session(process.pid)
