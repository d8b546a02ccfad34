// The panel at the side, in tabs: the story of a violation, the run as a whole, the state of every node, what was chosen.

const selection = { type: "none", index: NONE, delivery: NONE };
const TABS = [
  ...(run.stories.length ? [{ id: "story", name: "Story", draw: story }] : []),
  { id: "run", name: "Run", draw: aboutRun },
  { id: "state", name: "State", draw: stateTable },
  { id: "details", name: "Details", draw: details },
];
let tab = TABS[0].id;

function drawPanel() {
  byId("panel").replaceChildren(...[TABS.find((one) => one.id === tab).draw()].flat(Infinity).filter(Boolean));
  byId("tabs").replaceChildren(...TABS.map((one, index) => el("button", {
    type: "button", role: "tab", id: `tab-${one.id}`, "aria-controls": "panel", "aria-selected": String(one.id === tab), tabindex: one.id === tab ? 0 : -1, title: `${one.name} (${index + 1})`,
    onclick: () => openTab(one.id),
    onkeydown: (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      openTab(TABS[(index + by + TABS.length) % TABS.length].id);
      byId(`tab-${tab}`).focus();
    },
  }, one.name)));
  byId("panel").setAttribute("aria-labelledby", `tab-${tab}`);
}

function openTab(id) {
  tab = id;
  drawPanel();
  byId("panel").scrollTop = 0;
}

// Choose something: its details are shown and it is marked in the pictures. Of a state `index` is the step after which it
// holds, and `delivery` the node.
function select(type, index, delivery = NONE) {
  if (type === "moment") return goTo(index, true);
  Object.assign(selection, { type, index, delivery: delivery ?? NONE });
  if (type === "step" || type === "state") goTo(index, true);
  openTab("details");
  if (type === "step") return;
  drawTree();
  drawCursor();
  if (type === "block") revealBlock(index);
  if (type === "message") reveal(run.messages[index].at);
  if (type === "certificate") revealBlock(run.certificates[index].block);
}

function stateTable() {
  const step = run.steps[replay.step];
  const columns = ["node", "round", "leader", "voted", "locked", "high", "commit", "left", "height"];
  const titles = ["", "current round", "leader of the round in its view", "voted round", "locked round", "what the highest certificate is of", "what the certificate that committed last is of", "the round that was given up before this one", "blocks committed"];
  return [
    el("p", { class: "lead" }, step ? `After step ${replay.step + 1}, ${seconds(step.at)}` : "Before the first step"),
    el("p", {}, step ? stepText(step) : ""),
    el("table", { id: "state-table" },
      el("thead", {}, el("tr", {}, columns.map((column, index) => el("th", { title: titles[index] }, column)))),
      el("tbody", {}, replicaNodes.map((node) => stateRow(node, step)))),
    el("p", { class: "soft" }, "The node that acted is marked. voted: the highest round that it voted in or gave up; locked: the round of its lock; high: the block of the highest certificate that it knows; commit: that of the certificate by which it committed last; left: the round that was given up before this one; height: blocks committed."),
  ];
}

function stateRow(node, step) {
  const state = stateAt(node, replay.step), status = statusAt(node, replay.step);
  const acted = step && step.node === node;
  const cells = !state
    ? [el("td", { colspan: 8, class: "soft" }, "not started")]
    : [String(state.round), state.leader === run.nodes[node].replica ? "★ self" : replicaShort(state.leader), String(state.voted_round), state.locked_round === NONE ? "–" : String(state.locked_round),
      certifiedBlock(state.high), certifiedBlock(state.committed_by), state.given_up === NONE ? "–" : String(run.given_up[state.given_up].round), String(state.height)].map((content) => el("td", {}, content));
  return el("tr", { class: acted ? "changed current" : "", "data-node": node },
    el("td", {}, el("b", {}, state ? link(nodeName(node), () => select("state", replay.step, node)) : nodeName(node)), status === "up" ? "" : el("div", { class: "bad" }, status)), cells);
}

const certifiedBlock = (index) => (index === NONE ? "–" : link(blockName(run.certificates[index].block).replace("genesis", "gen."), () => select("certificate", index)));

function scenario() {
  return run.scenario ? [el("h3", {}, "The scenario"), el("pre", { class: "scenario" }, run.scenario)] : null;
}

function aboutRun() {
  const counts = {};
  let lost = 0, rejected = 0;
  for (const message of run.messages) {
    counts[message.kind] = (counts[message.kind] ?? 0) + 1;
    for (const delivery of message.deliveries) {
      lost += delivery.fate === "lost";
      rejected += delivery.fate === "rejected";
    }
  }
  const fired = run.steps.filter((step) => step.kind === "fired" && step.text === "round").length;
  const heights = replicaNodes.map((node) => stateAt(node, run.steps.length)?.height ?? 0);
  const { window: part } = run;
  return [
    el("p", { class: "lead" }, run.title),
    scenario(),
    part.whole ? null : el("p", { class: "hint", id: "window" }, `This page shows rounds ${part.first_round} to ${part.last_round} of ${part.all_rounds}${part.cut_s === null ? "" : `, the last one up to ${seconds(part.cut_s)}`} (${part.steps_before} events before, ${part.steps_after} after). Other rounds: diembft view TRACE -o PAGE --rounds FIRST-LAST`),
    run.reasons.length ? [el("h3", {}, "Why it failed"), el("ul", {}, run.reasons.map((reason) => el("li", { class: "bad" }, reason)))] : null,
    pairList([
      ["replicas", `${run.n}, a quorum is ${run.quorum}` + (replicaNodes.length > run.n ? `; ${replicaNodes.length} nodes with twins` : "")],
      ["protocol", run.protocol],
      ["runtime", run.runtime],
      ["delay bound", `${run.delta_s} s`],
      run.seed && ["seed", run.seed],
      ["rounds", `${part.first_round} to ${part.last_round}`],
      ["committed", heights.length ? `${Math.min(...heights)} to ${Math.max(...heights)} blocks` : "–"],
      ["round timers run out", String(fired)],
      ["messages lost", String(lost)],
      ["messages rejected", String(rejected)],
    ]),
    el("h3", {}, "Messages"),
    el("table", {}, el("tbody", {}, Object.entries(counts).map(([kind, count]) => el("tr", {}, el("td", {}, KIND_NAMES[kind] ?? kind), el("td", { class: "number" }, String(count)))))),
    Object.keys(run.figures).length ? [el("h3", {}, "Figures"), el("dl", {}, Object.entries(run.figures).map(([name, value]) => [el("dt", {}, name), el("dd", {}, typeof value === "object" ? JSON.stringify(value) : String(value))]))] : null,
    run.replay ? [el("h3", {}, "Run it again"), el("pre", {}, run.replay)] : null,
    el("h3", {}, "How to read the picture"),
    el("ul", {},
      ["Each lane is a node, time runs to the right. A lane's segments are the rounds that the node was in; ★ and the gold colour mark a node that leads.",
        "An arrow is a message. A broken one with ✕ was lost there; ⊘ at its end means rejected.",
        "A hatched bar between lanes is the wall of a partition; hatching on a lane means crashed or paused.",
        "◆ a commit, a clock face a timer that ran out, ✕ a crash, ▶ a restart, ⚡ made Byzantine, ⚑ evidence.",
        "≈ on the time axis: idle time is shortened there."].map((line) => el("li", {}, line))),
  ];
}
