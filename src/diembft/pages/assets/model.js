// The run: what diembft.pages.data describes, with what is looked up often.

const NONE = -1;
const run = JSON.parse(byId("data").textContent);
// Twins stand next to each other.
const replicaNodes = run.nodes.map((_, index) => index).filter((index) => run.nodes[index].replica !== NONE)
  .sort((a, b) => run.nodes[a].replica - run.nodes[b].replica || a - b);
const clientNodes = run.nodes.map((_, index) => index).filter((index) => run.nodes[index].replica === NONE);

// Types of messages as the page groups them.
const FAMILIES = {
  proposal: { name: "Proposals", kinds: ["proposal"] },
  vote: { name: "Votes", kinds: ["vote"] },
  timeout: { name: "Timeouts", kinds: ["timeout"] },
  sync: { name: "Sync", kinds: ["answer", "request", "blocks", "relay"] },
  client: { name: "Clients", kinds: ["submitted", "reply"] },
};
const familyOf = {};
for (const [family, { kinds }] of Object.entries(FAMILIES)) for (const kind of kinds) familyOf[kind] = family;

for (const block of run.blocks) {
  block.requests ??= [];
  block.request_count ??= 0;
  block.column ??= 0;
  block.row ??= 0;
  block.certificates = [];
  block.children = [];
}
run.certificates.forEach((certificate, index) => run.blocks[certificate.block].certificates.push(index));
run.blocks.forEach((block, index) => {
  if (block.parent !== NONE && run.blocks[block.parent].round < block.round) run.blocks[block.parent].children.push(index);
});
run.messages.forEach((message, index) => {
  message.index = index;
  message.family = familyOf[message.kind] ?? "sync";
  for (const name of ["step", "sender", "block", "parent_round", "high_round", "certificate", "given_up"]) message[name] ??= NONE;
  message.blocks ??= [];
  message.certificates ??= [];
  message.phase ??= "";
  message.requests ??= [];
  for (const delivery of message.deliveries) {
    delivery.step ??= NONE;
    delivery.reason ??= "";
  }
});
const statesOf = run.nodes.map(() => ({ steps: [], states: [] }));
const statusOf = run.nodes.map(() => ({ steps: [], states: [] }));
const STATUS = { crashed: "crashed", restarted: "up", paused: "paused", resumed: "up" };
run.start_states.forEach((state, node) => {
  if (state) push(statesOf[node], NONE, state);
  push(statusOf[node], NONE, run.start_status[node]);
});
run.steps.forEach((step, index) => {
  step.index = index;
  for (const name of ["node", "message", "delivery", "round"]) step[name] ??= NONE;
  for (const name of ["sent", "commits", "timers", "evidence", "sets"]) step[name] ??= [];
  step.text ??= "";
  step.persisted ??= "";
  if (step.state) push(statesOf[step.node], index, step.state);
  if (STATUS[step.kind] && step.node !== NONE) push(statusOf[step.node], index, STATUS[step.kind]);
});

function push(list, step, state) {
  list.steps.push(step);
  list.states.push(state);
}

// Where the last entry of a list at or before a step is; NONE if there is none.
function lastIndexAt(list, step) {
  let low = 0, high = list.steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list.steps[middle] <= step) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

const lastAt = (list, step) => list.states[lastIndexAt(list, step)] ?? null;

const stateAt = (node, step) => lastAt(statesOf[node], step);
const statusAt = (node, step) => lastAt(statusOf[node], step) ?? "up";

// The highest round that any node has reached at each step. One whose state was tampered with may be anywhere.
const roundAtStep = [];
{
  let round = Math.max(run.window.first_round, ...run.start_states.map((state) => (state ? state.round : 0)));
  for (const step of run.steps) {
    if (step.state && (run.nodes[step.node].correct || run.nodes[step.node].twin)) round = Math.max(round, step.state.round);
    roundAtStep.push(round);
  }
}

// Round timers, as spans on a node's lane: from being set to firing, being cancelled, or being set anew.
const timerSpans = [];
{
  const open = new Map();
  const close = (key, at, fired) => {
    const span = open.get(key);
    if (!span) return;
    open.delete(key);
    timerSpans.push({ ...span, end: at, fired });
  };
  for (const step of run.steps) {
    if (step.kind === "fired") close(`${step.node} ${step.text}`, step.at, true);
    if (step.kind === "crashed") for (const key of [...open.keys()]) if (key.startsWith(`${step.node} `)) close(key, step.at, false);
    for (const timer of step.timers) {
      const key = `${step.node} ${timer.timer}`;
      close(key, step.at, false);
      if (timer.delay_s !== undefined && timer.timer === "round") open.set(key, { node: step.node, timer: timer.timer, start: step.at, delay: timer.delay_s });
    }
  }
  for (const key of [...open.keys()]) close(key, run.steps[run.steps.length - 1].at, false);
  timerSpans.sort((a, b) => a.start - b.start);
}

// Partitions in time (those of single rounds stand in the bands).
const walls = [];
for (const step of run.steps) {
  if (step.kind !== "partitioned") continue;
  if (walls.length && walls[walls.length - 1].end === null) walls[walls.length - 1].end = step.at;
  if (step.sets.length > 1) walls.push({ start: step.at, end: null, sets: step.sets, step: step.index });
}

// How many deliveries of each round were lost otherwise than by its partition: a scenario's exceptions.
const lostInRound = new Map();
for (const message of run.messages)
  for (const { fate, reason } of message.deliveries)
    if (fate === "lost" && reason !== "partition") lostInRound.set(message.round, (lostInRound.get(message.round) ?? 0) + 1);

const endTime = Math.max(0, ...run.steps.map((step) => step.at), ...run.bands.map((band) => band.end),
  ...run.messages.map((message) => Math.max(message.at, ...message.deliveries.map((delivery) => delivery.at))));

// How long a message is usually under way, in seconds.
const usualFlight = (() => {
  const flights = [];
  for (const message of run.messages)
    for (const delivery of message.deliveries) if (delivery.step !== NONE && delivery.at > message.at) flights.push(delivery.at - message.at);
  flights.sort((a, b) => a - b);
  return flights.length ? flights[flights.length >> 1] : run.delta_s / 2;
})();

// Which side of the conflict a block is on, of the story being shown; NONE if on none.
let sideOfBlock = new Map();
let bothSigners = new Set();

function setStory(story) {
  sideOfBlock = new Map();
  bothSigners = new Set(story ? story.both : []);
  if (story) story.sides.forEach((side, index) => (side.chain ?? []).concat(side.block).forEach((block) => sideOfBlock.set(block, index % 4)));
}

const sideOf = (block) => (sideOfBlock.has(block) ? sideOfBlock.get(block) : NONE);

// The first step at which a block (or certificate) was known: to a node, or to any if node is NONE.
function knownStep(entry, node) {
  if (node !== NONE) return entry.known[node] === NONE ? Infinity : entry.known[node];
  let first = Infinity;
  for (const step of entry.known) if (step !== NONE && step < first) first = step;
  return first;
}
