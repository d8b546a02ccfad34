"""The faults of pyDistAlgo 1.1.0 itself, on any Python, repaired by replacing methods from outside.

Most of them are races: a run in a thousand hangs, because a message, or the notice of one, was lost. Each repair
says what is wrong and keeps what the replaced method promises. `REPAIRS` is the list; the adapter applies it to
version 1.1.0 only.
"""

import ast
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary

from diembft.distalgo.runtime import program

PORT_TRIES: Final = 100
"""How many ports are tried: with 99 of 100 ports taken, still two runs in three would find one."""

BACKLOG: Final = 128
"""How many connections may wait to be accepted: Linux's own limit for long, and more than processes in a run."""

LOOK_S: Final = 0.2
"""How often the main thread looks whether it was interrupted."""

INTERRUPTED_STATUS: Final = 1
"""What pyDistAlgo ends with after an interrupt."""

ORPHAN_STATUS: Final = 1
"""What a process ends with whose parent is gone; nobody is left to read it."""


class Repair(NamedTuple):
    """One fault: its name, what is wrong in 1.1.0, and the function that repairs it."""

    name: str
    fault: str
    apply: Callable[["Modules"], None]


class Modules(NamedTuple):
    """The modules of pyDistAlgo that are repaired."""

    common: Any
    sim: Any
    sock: Any
    pygen: Any


def _lost_wakeup(da: Modules) -> None:
    queue_empty = da.common.QueueEmpty

    def pop(self: Any, block: bool = True, timeout: float | None = None) -> Any:
        try:
            return self._q.popleft()
        except IndexError:
            if not block or timeout == 0:
                raise queue_empty from None
        with self._condition:
            self._num_waiting += 1
            try:
                # From here on `append` notifies, and the notice waits for this lock. What came before is seen now.
                if not self._q:
                    self._condition.wait(timeout)
            finally:
                self._num_waiting -= 1
        try:
            return self._q.popleft()
        except IndexError:
            # Another thread was quicker. Waiting on would be wrong: what it took may be what the caller waits for.
            raise queue_empty from None

    da.common.WaitableQueue.pop = pop


def _lost_first_message(da: Modules) -> None:
    transport = da.sock.TcpTransport
    start, verify = transport.start, transport._verify_challenge

    def start_with_reentrant_lock(self: Any, *args: Any, **kwargs: Any) -> None:
        if self.lock is None:
            self.lock = threading.RLock()
        start(self, *args, **kwargs)

    def verify_under_lock(self: Any, conn: Any, auxdata: Any) -> None:
        # `send` looks for the connection under this lock, so it finds it only after the welcome has gone out.
        with self.lock:
            verify(self, conn, auxdata)

    transport.start = start_with_reentrant_lock
    transport._verify_challenge = verify_under_lock


def _deaf_after_reset(da: Modules) -> None:
    transport = da.sock.TcpTransport
    accept = transport._accept

    def accept_or_drop(self: Any, conn: Any, auxdata: Any) -> None:
        try:
            accept(self, conn, auxdata)
        except OSError as error:
            self._log.debug("A connection was gone before it was accepted: %r", error)

    transport._accept = accept_or_drop


def _interleaved_and_slow_sending(da: Modules) -> None:
    locks: WeakKeyDictionary[Any, threading.Lock] = WeakKeyDictionary()

    def send_whole(self: Any, data: Any, conn: Any, target: Any = None) -> None:
        message = b"".join(data)
        lock = locks.get(conn)
        if lock is None:
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            lock = locks.setdefault(conn, threading.Lock())
        with lock:
            conn.sendall(message)
        self._log.debug("Sent %d bytes to %s.", len(message), target)

    da.sock.TcpTransport._send_1 = send_whole


def _few_ports(da: Modules) -> None:
    transport = da.sock.SocketTransport
    initialize = transport.initialize

    def initialize_patiently(self: Any, *args: Any, linear: bool = False, **kwargs: Any) -> None:
        if not linear:  # a master node counts on from the port it was given: that stays a short way
            kwargs.setdefault("retries", PORT_TRIES)
        initialize(self, *args, linear=linear, **kwargs)

    transport.initialize = initialize_patiently


def _short_backlog(da: Modules) -> None:
    da.sock.MAX_TCP_BACKLOG = BACKLOG


def _lost_before_start(da: Modules) -> None:
    def start(self: Any) -> None:
        self.running = True
        threading.Thread.start(self)

    da.sim.Router.start = start


def _lock_held_over_fork(da: Modules) -> None:
    lock = da.common.ProcessId._lock
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)


def _unseen_interrupt(da: Modules) -> None:
    container = da.sim.OSThreadContainer
    start, run, join = container.start, container.run, container.join

    def start_and_listen(self: Any) -> None:
        self.ended = threading.Event()
        self.interrupted = False
        # Not where interrupts are ignored, or somebody else's affair.
        in_main_thread = threading.current_thread() is threading.main_thread()
        self.listens = in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self.listens:
            _note_interrupts(self)
        start(self)

    def run_to_end(self: Any) -> Any:
        try:
            return run(self)
        finally:
            self.ended.set()

    def join_and_look(self: Any, timeout: float | None = None) -> None:
        if timeout is None and self.listens:
            while not self.ended.wait(LOOK_S) and not self.interrupted:
                pass
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if self.interrupted:
                _end_interrupted(self)
                raise KeyboardInterrupt
        join(self, timeout)

    container.start, container.run, container.join = start_and_listen, run_to_end, join_and_look


def _note_interrupts(container: Any) -> None:
    """An interrupt is noted in this process, whatever it does just now; children are interrupted as ever."""
    here = os.getpid()

    def note(number: int, frame: FrameType | None) -> None:
        if os.getpid() != here:
            signal.default_int_handler(number, frame)
        container.interrupted = True

    signal.signal(signal.SIGINT, note)


def _end_interrupted(container: Any) -> None:
    """End the program's thread, and what is left of its children then. Does not return if the thread goes on."""
    try:
        until = time.monotonic() + program.GRACE_S
        container.end()
        while not container.ended.wait(LOOK_S) and time.monotonic() < until:
            container.end()  # before, it may not have been ready to hear that
    finally:
        program.end_children(program.GRACE_AFTER_ERROR_S)
        if not container.ended.is_set():
            os._exit(INTERRUPTED_STATUS)


def _orphans(da: Modules) -> None:
    container = da.sim.OSProcessContainer
    initialize = container.__init__

    def initialize_with_watch(self: Any, *args: Any, **kwargs: Any) -> None:
        initialize(self, *args, **kwargs)
        self.before_run_hooks.append(_end_with_parent)

    container.__init__ = initialize_with_watch


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "because this runs in the child alone"
    sentinel = parent.sentinel

    def watch() -> None:
        multiprocessing.connection.wait([sentinel])
        os._exit(ORPHAN_STATUS)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _import_as(da: Modules) -> None:
    def visit_import_from(self: Any, node: Any) -> list[ast.stmt]:
        names = [ast.alias(item.name, item.asname) for item in node.items]
        return [ast.ImportFrom(node.module, names, node.level)]

    da.pygen.PythonGenerator.visit_ImportFromStmt = visit_import_from


REPAIRS: Final = (
    Repair(
        "lost wake-up",
        "WaitableQueue.pop looks, finds nothing, and then announces that it waits: an item that arrives in between "
        "is announced to nobody, and the process sleeps beside it.",
        _lost_wakeup,
    ),
    Repair(
        "lost first message",
        "The TCP transport offers a new connection to senders before it has sent the welcome; a message that gets "
        "in between is taken for a rejection by the peer, and is lost with the connection.",
        _lost_first_message,
    ),
    Repair(
        "deaf after a reset",
        "A peer that goes away while its connection is accepted raises an error in the loop, which then stops "
        "listening for new connections for good.",
        _deaf_after_reset,
    ),
    Repair(
        "interleaved and slow sending",
        "Messages are put together byte by byte in Python; two threads that send over one connection can "
        "interleave the pieces of large messages; and a small message waits 40 ms for the acknowledgement of the "
        "one before it, since every message is one write and the kernel hopes for more.",
        _interleaved_and_slow_sending,
    ),
    Repair(
        "few tries for a port",
        "Three random ports are tried; with many runs one after another, or side by side, all three can be taken, "
        "and the process is not created.",
        _few_ports,
    ),
    Repair(
        "short backlog",
        "Ten connections may wait to be accepted; when more processes connect at once, the kernel drops the rest, "
        "and each loses a second or more.",
        _short_backlog,
    ),
    Repair(
        "message lost before the start",
        "A message sent while the router's thread begins to run can be put into the list of early messages just "
        "after that list was emptied for good.",
        _lost_before_start,
    ),
    Repair(
        "lock held over a fork",
        "A process forked while the router unpickles the id of a named process inherits a lock that nobody will "
        "release, and stops at the first named id that it sees.",
        _lock_held_over_fork,
    ),
    Repair(
        "unseen interrupt",
        "The main thread waits for the program's thread without a limit. The system may hand the signal of Ctrl-C "
        "to another thread, above all while that forks; then the main thread sleeps on, and the program goes on. "
        "If a child does not hear it, or the program's thread is just beginning, the main process waits for ever.",
        _unseen_interrupt,
    ),
    Repair(
        "orphans",
        "When the main process is killed, its children wait for ever for a word of it, and keep their ports.",
        _orphans,
    ),
    Repair(
        "import as",
        "`from module import name as other` in a `.da` file ends the compiler with an AttributeError.",
        _import_as,
    ),
)
"""Every repair, in the order of application; they do not depend on each other."""


def repair(da: Modules) -> None:
    """Apply every repair to the imported modules, once."""
    for entry in REPAIRS:
        entry.apply(da)
