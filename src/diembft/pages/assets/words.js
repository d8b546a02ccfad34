// What things are called, and what happened in a step, as plain text.

const KIND_NAMES = {
  proposal: "proposal", vote: "vote", timeout: "timeout", answer: "answer", request: "request for blocks",
  blocks: "blocks", relay: "relayed requests", submitted: "request", reply: "reply",
};
const FATE_NAMES = { delivered: "accepted", rejected: "rejected", ignored: "no effect", lost: "lost", "in flight": "still under way" };

const nodeName = (node) => (node === NONE ? "the network" : run.nodes[node].name);
// Who leads may not be decided yet.
const replicaName = (replica) => (replica === NONE ? "not known yet" : run.replicas[replica] || `replica ${replica}`);
const replicaShort = (replica) => (replica === NONE ? "?" : run.shorts[replica] || String(replica));
const names = (nodes) => nodes.map(nodeName).join(", ");
const seconds = (at) => `${at.toFixed(at < 10 ? 3 : 2)} s`;
const blockName = (block) => (block === NONE ? "an unknown block" : run.blocks[block].name);
const inPhase = (phase) => (phase ? `, phase ${phase}` : "");
const setText = (nodes) => nodes.map((node) => run.nodes[node].short).join(" ");
const setsText = (sets) => sets.map(setText).join(" | ");

// Whom a message went to. What a node sends to itself alone is on no wire.
const receivers = (message) => names(message.deliveries.map((delivery) => delivery.to)) || "itself";

// A message in a few words, without who sent it.
function messageText(message) {
  switch (message.kind) {
    case "proposal": return `proposal of ${blockName(message.block)}`;
    case "vote": return `vote for ${blockName(message.block)}${inPhase(message.phase)}`;
    case "timeout": return `timeout of round ${message.round}`;
    case "answer": return `answer, round ${message.round}`;
    case "request": return "request for blocks";
    case "blocks": return `${message.blocks.length} block${message.blocks.length === 1 ? "" : "s"}`;
    case "relay": return "relayed requests";
    case "submitted": return `request ${message.requests[0].number}`;
    case "reply": return `reply to request ${message.requests[0].number}`;
    default: return message.kind;
  }
}

// What a step was, in one sentence.
function causeText(step) {
  const node = nodeName(step.node);
  switch (step.kind) {
    case "started": return `${node} starts`;
    case "acted": return `${node} acts by itself`;
    case "delivered": {
      const message = run.messages[step.message];
      const delivery = message.deliveries[step.delivery];
      const what = `${node} receives the ${messageText(message)} from ${nodeName(message.node)}`;
      if (delivery.fate === "rejected") return `${what} and rejects it: ${delivery.reason}`;
      if (delivery.fate === "ignored") return `${what}; it has no effect: ${delivery.reason}`;
      return what;
    }
    case "fired": return `${node}'s ${step.text} timer of round ${step.round} runs out`;
    case "crashed": return `${node} crashes`;
    case "restarted": return `${node} restarts`;
    case "paused": return `${node} stands still`;
    case "resumed": return `${node} goes on`;
    case "partitioned":
      return step.sets.length > 1 ? `From now on the network is cut: ${setsText(step.sets)}` : "From now on the network is whole";
    case "synchronous": return `From now on the network is synchronous (messages within ${step.text})`;
    case "connected": return `${node} can reach ${step.text} again`;
    case "set_attribute": return `${node} is made Byzantine: ${step.text}`;
    case "submitted": return `${node} sends ${step.text}`;
    case "accepted": return `${node} has f + 1 equal replies: ${step.text}`;
    case "workload_ended": return `${node}'s workload: ${step.text}`;
    case "violated": return `Violated: ${step.text}` + (step.round === NONE ? "" : ` (round ${step.round})`);
    case "ended": return `The run ends: ${step.text}`;
    default: return `${node}: ${step.kind}`;
  }
}

// What a node did in a step, beyond the cause: short clauses.
function effectTexts(step) {
  const before = step.node === NONE || !statesOf[step.node] ? null : stateAt(step.node, step.index - 1);
  const texts = [];
  if (step.state && (!before || before.round !== step.state.round)) texts.push(`enters round ${step.state.round}`);
  for (const commit of step.commits) texts.push(`commits ${blockName(commit.block)}`);
  for (const index of step.sent) {
    const message = run.messages[index];
    const to = message.deliveries.length === 1 ? ` to ${nodeName(message.deliveries[0].to)}` : "";
    if (step.kind !== "submitted") texts.push(`sends ${messageText(message)}${to}`);
  }
  for (const evidence of step.evidence) texts.push(`reports ${evidence}`);
  return texts;
}

function stepText(step) {
  const effects = effectTexts(step);
  return causeText(step) + (effects.length ? `; ${effects.join(", ")}` : "");
}
