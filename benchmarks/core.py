"""The cost of the core on one core, without a network: ``python benchmarks/core.py``.

Validators hand one another their messages in the order of sending, nothing is lost, no timer fires: the fast path.
Times are medians of several runs, in microseconds of the processor. `--commits N` sets the length of the memory run
(default 100,000).
"""

import argparse
import sys
import time
from collections import deque
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from statistics import median

import msgspec
from typing_extensions import override

from diembft.client.requests import session_of, signed_request
from diembft.consensus.config import Config
from diembft.consensus.effects import Broadcast, Effect, Send
from diembft.consensus.events import Received, Requests, Started
from diembft.consensus.genesis import genesis
from diembft.consensus.replica import Replica
from diembft.crypto.ed25519 import Ed25519KeyRing, derived_signer
from diembft.crypto.interface import KeyRing, Signer
from diembft.crypto.symbolic import SymbolicKeyRing, client_signer, replica_signer
from diembft.ledger.key_value import KeyValueStore, Put, encode
from diembft.ledger.sessions import Sessions
from diembft.messages.digests import Digests
from diembft.messages.types import QC, Message, Payload

RUNS = 5
SIZES = (4, 7, 13, 31, 100)
CLIENTS = ("alice", "bob")
encode_any = msgspec.msgpack.Encoder().encode
encode_payload: Callable[[Payload], bytes] = encode_any
decode_payload = msgspec.msgpack.Decoder(Payload).decode

KEYS_IN_USE = 1000
"""Different keys that the requests of the memory run write to."""


class CountingKeys(KeyRing):
    """Counts what one validator verifies."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self.checks = 0

    @override
    def verify(self, replica: int, digest: bytes, signature: bytes) -> bool:
        self.checks += 1
        return self._keys.verify(replica, digest, signature)

    @override
    def verify_client(self, client: str, digest: bytes, signature: bytes) -> bool:
        self.checks += 1
        return self._keys.verify_client(client, digest, signature)


class Line:
    """Validators in one process, first come first served."""

    def __init__(self, n: int, crypto: str = "symbolic") -> None:
        config = Config(n=n, rest=False)
        self.digests = Digests(config.chain_id, config.epoch)
        signers: list[Signer]
        ring: KeyRing
        if crypto == "symbolic":
            signers, ring = [replica_signer(replica) for replica in range(n)], SymbolicKeyRing(n)
        else:
            pairs = [derived_signer(f"replica{replica}", 1) for replica in range(n)]
            signers, ring = [*pairs], Ed25519KeyRing([pair.public_key for pair in pairs], {})
        self.keys = [CountingKeys(ring) for _ in range(n)]
        self.replicas = [
            Replica(config, replica, signers[replica], self.keys[replica], Sessions(KeyValueStore()))
            for replica in range(n)
        ]
        self.messages = 0
        self._waiting: deque[tuple[int, Received[Message]]] = deque()
        for replica in range(n):
            self._carry_out(replica, self.replicas[replica].step(Started()))

    @property
    def height(self) -> int:
        """How many blocks the first validator committed."""
        return self.replicas[0].tree.height

    def deliver(self, count: int) -> None:
        """Deliver so many messages."""
        waiting, replicas = self._waiting, self.replicas
        for _ in range(count):
            to, event = waiting.popleft()
            self._carry_out(to, replicas[to].step(event))

    def deliver_until(self, height: int) -> None:
        """Deliver messages until the first validator has committed so many blocks."""
        while self.height < height:
            self.deliver(1)

    def request(self, client: str, number: int) -> None:
        """A client's request, to all."""
        operation = encode(Put(b"%d" % (number % KEYS_IN_USE), b"value"))
        session = session_of(client)
        event = Requests((signed_request(client_signer(client), self.digests, client, session, number, (operation,)),))
        for replica, machine in enumerate(self.replicas):
            self._carry_out(replica, machine.step(event))

    def _carry_out(self, sender: int, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Broadcast):
                event = Received(sender, effect.message)
                self._waiting.extend([(to, event) for to in range(len(self.replicas)) if to != sender])
                self.messages += len(self.replicas) - 1
            elif isinstance(effect, Send) and effect.to != sender:
                self._waiting.append((effect.to, Received(sender, effect.message)))
                self.messages += 1


def microseconds(count: int, work: Callable[[], object]) -> float:
    """What one of `count` pieces of work takes."""
    begin = time.process_time()
    work()
    return (time.process_time() - begin) / count * 1e6


def repeat(count: int, work: Callable[[], object]) -> None:
    """Do the work so many times, and keep nothing of it."""
    for _ in range(count):
        work()


def step_cost(n: int, crypto: str, count: int) -> float:
    """Of one delivered message, driver included."""
    line = Line(n, crypto)
    line.deliver(count // 5)
    return median([microseconds(count, lambda: line.deliver(count)) for _ in range(RUNS)])


def fork_and_key_cost(n: int) -> tuple[float, float]:
    """Of one fork and one state key, in the middle of a round."""
    line = Line(n)
    line.deliver_until(150)
    line.deliver(n)
    replica = line.replicas[1]
    count = 5000
    fork = median([microseconds(count, lambda: repeat(count, replica.fork)) for _ in range(RUNS)])
    key = median([microseconds(count, lambda: repeat(count, lambda: hash(replica.state_key()))) for _ in range(RUNS)])
    return fork, key


def growth(n: int) -> tuple[float, float]:
    """Messages a commit, and signature checks a commit and validator."""
    line = Line(n)
    line.deliver_until(10)
    height, messages, checks = line.height, line.messages, sum(keys.checks for keys in line.keys)
    line.deliver_until(10 + max(8, 800 // n))
    commits = line.height - height
    checked = sum(keys.checks for keys in line.keys) - checks
    return (line.messages - messages) / commits, checked / commits / n


def block_ids() -> list[tuple[str, float]]:
    """What the id of a block of 1,000 requests of 512 bytes takes, with the requests' digests at hand and without."""
    digests = Digests("benchmark", 0)
    signer = derived_signer("alice", 1)
    session, value = session_of("alice"), bytes(512)
    payload = tuple([signed_request(signer, digests, "alice", session, number, (value,)) for number in range(1000)])
    wire = encode_payload(payload)
    qc = genesis(digests).qc

    def cost(chosen: Digests, of: Payload) -> float:
        return microseconds(1, lambda: chosen.block(0, 1, 0, of, qc))

    known = Digests("benchmark", 0)
    cost(known, payload)
    equal = [decode_payload(wire) for _ in range(RUNS)]
    return [
        ("digests at hand", median([cost(known, payload) for _ in range(10 * RUNS)])),
        ("digests at hand, the block just decoded", median([cost(known, other) for other in equal])),
        ("digests not at hand", median([cost(Digests("benchmark", 0), payload) for _ in range(RUNS)])),
        ("all bytes hashed at once", median([microseconds(1, lambda: at_once(payload, qc)) for _ in range(RUNS)])),
    ]


def at_once(payload: Payload, qc: QC) -> bytes:
    """A block's id over all its bytes, for comparison: what it would take without digests of the requests."""
    hashed = blake2b(encode_payload(payload), digest_size=32).digest()
    return blake2b(encode_any((0, 1, 0, hashed, qc.vote_info.id, qc.signatures)), digest_size=32).digest()


def resident_mb() -> float:
    """Memory of this process, in megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def memory(commits: int) -> list[tuple[int, float]]:
    """Memory of four validators as the chain grows, with a request every ten blocks."""
    line = Line(4)
    seen = []
    number = 0
    for part in range(1, 11):
        while line.height < commits * part // 10:
            number += 1
            line.request(CLIENTS[number % len(CLIENTS)], number)
            line.deliver_until(line.height + 10)
        seen.append((line.height, resident_mb()))
    return seen


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--commits", type=int, default=100_000, help="length of the memory run (default 100000)")
    options = parser.parse_args(arguments)

    print("cost of one step, us (a delivered message, with this driver)")
    for n in (4, 7, 31):
        print(f"  n = {n:3}  symbolic  {step_cost(n, 'symbolic', 20_000 if n < 10 else 5_000):8.1f}")
    print(f"  n =   4  ed25519   {step_cost(4, 'ed25519', 1_500):8.1f}")

    print("cost of one fork and of one state key with its hash, us")
    for n in (4, 7):
        fork, key = fork_and_key_cost(n)
        print(f"  n = {n:3}  fork {fork:6.1f}   state key {key:6.1f}")

    print("on the fast path, a commit takes")
    for n in SIZES:
        messages, checks = growth(n)
        print(
            f"  n = {n:3}  {messages:6.1f} messages ({messages / n:4.2f} n)   "
            f"{checks:6.1f} signature checks a validator ({checks / n:4.2f} n)"
        )

    print("the id of a block of 1,000 requests of 512 bytes, us")
    for what, cost in block_ids():
        print(f"  {what:40} {cost:8.1f}")

    if options.commits:
        print("memory of four validators, a request every ten blocks")
        for height, used in memory(options.commits):
            print(f"  {height:8,} commits  {used:6.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
