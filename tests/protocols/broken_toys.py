"""The toy protocol of docs/protocols.md with one mistake each, as modules of their own."""

from __future__ import annotations

from pathlib import Path

SOURCE = Path(__file__).parents[2] / "examples" / "toy_protocol.py"
AS_IT_IS = "as_it_is"
STEP = "        self.out: list[Any] = []\n"
MADE = "        self.me, self.name, self.leaders = me, name, leaders\n"
DIGEST = 'f"{round_} {self.name} ".encode()'

CHANGES: dict[str, tuple[str, str]] = {
    "raises_on_import": ("\n\ndef length(", "\n\nint('x')\n\n\ndef length("),
    "imports_what_is_not_there": ("import copy\n", "import copy\nimport no_such_module_at_all\n"),
    "is_no_python": ("class Vote(Struct", "class Vote(((Struct"),
    "is_another_object": ("STREAMLET = Streamlet()", "STREAMLET = 7"),
    "has_another_name": ("    chain = 3\n", "    chain = 3\n    name = 'elsewhere:IT'\n"),
    "kinds_lacks_an_entry": (", Longer: ANSWER}", "}"),
    "kinds_is_wrong": (", Longer: ANSWER}", ", Longer: 'answer'}"),
    "chain_is_text": ("    chain = 3\n", "    chain = '3'\n"),
    "system_raises": (
        "        return System(cast, delay",
        "        raise OSError('no disk')\n        return System(cast, delay",
    ),
    "system_is_none": ("        return System(cast, delay", "        System(cast, delay"),
    "constructor_raises": (MADE, f"{MADE}        self.key = {{}}[me]\n"),
    "nodes_are_one": ("        cast = self.cast\n", "        cast = self.cast\n        return ONE\n"),
    "step_raises": (STEP, f"{STEP}        assert event.now_ms, 'no clock'\n"),
    "step_returns_none": ("        return self.out\n", ""),
    "step_returns_a_message": (
        "self.out.append(Broadcast(Vote(block, self.me)))",
        "self.out.append(Vote(block, self.me))",
    ),
    "step_is_endless": (STEP, f"{STEP}        while self.current_round == 2:\n            pass\n"),
    "step_has_endless_effects": (STEP, f"{STEP}        self.out += [Send(0, 0)] * 10_001\n"),
    "sends_to_nobody": ("Send(block.author, Longer", "Send(99, Longer"),
    "round_goes_down": (STEP, f"{STEP}        self.current_round %= 4\n"),
    "votes_tell_nothing": ("return interface.Told(vote=vote)", "return interface.Told()"),
    "told_is_none": (
        "                return interface.Told(blocks=(block,))",
        "                interface.Told(blocks=(block,))",
    ),
    "requests_raise": ("return [(block.marker", "raise KeyError(block.marker)\n        return [(block.marker"),
    "requests_name_nobody": ("return [(block.marker,", "return [('me',"),
    "messages_have_no_hash": (
        "class Vote(Struct, frozen=True, cache_hash=True)",
        "class Vote(Struct)",
    ),
    "random_in_a_block": (DIGEST, 'str(__import__("random").random()).encode()'),
    "clock_in_a_block": (DIGEST, 'str(__import__("time").perf_counter_ns()).encode()'),
    "hash_in_a_block": (DIGEST, 'f"{hash(self.name)} {round_}".encode()'),
    "order_of_a_set": (DIGEST, 'f"{round_} {set(map(str, range(99)))}".encode()'),
    "fork_shares_state": ("        twin.votes = dict(self.votes)\n", ""),
    "fork_is_itself": ("        twin = copy.copy(self)\n", "        twin = self\n"),
    "fork_raises": ("        twin = copy.copy(self)\n", "        twin = copy.copie(self)\n"),
    "order_raises": ("                return (0, block.round)", "                return (0, block.rounds)"),
}
"""What is replaced by what in its text; each once."""


def write(folder: Path, name: str) -> str:
    """Write one of them; gives the name by which it is found from there."""
    text = SOURCE.read_text(encoding="utf-8")
    if name in CHANGES:
        before, after = CHANGES[name]
        assert text.count(before) == 1, f"{name}: {text.count(before)} times in the toy"
        text = text.replace(before, after)
    text = text.replace('name = "toy_protocol:STREAMLET"', f'name = "{name}:STREAMLET"')
    text += "\n\nONE = Node(0, 'a', 4, Leaders(), 1.0)\n" if name == "nodes_are_one" else ""
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return f"{name}:STREAMLET"
