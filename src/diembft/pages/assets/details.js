// The content of what was chosen: a message, a step, a block or a certificate.

const blockLink = (block) => (block === NONE ? "unknown" : link(blockName(block), () => select("block", block)));
const messageLink = (index, label) => link(label ?? `#${run.messages[index].number} ${messageText(run.messages[index])}`, () => select("message", index, NONE));
const stepLink = (index, label) => link(label ?? `step ${index + 1}`, () => goTo(index, true));

function signersOf(certificate) {
  return certificate.signers.map((signer) => el("span", { class: `signer${bothSigners.has(signer) && sideOf(certificate.block) !== NONE ? " both" : ""}`, title: replicaName(signer) }, replicaName(signer)));
}

function certificateLink(index) {
  if (index === NONE) return "none";
  const certificate = run.certificates[index];
  return link(certificate.round === 0 ? "genesis certificate" : `certificate of ${blockName(certificate.block)}${inPhase(certificate.phase)}`, () => select("certificate", index));
}

function pairList(pairs) {
  return el("dl", {}, pairs.filter(Boolean).map(([term, value]) => [el("dt", {}, term), el("dd", {}, value)]));
}

function givenUpParts(index) {
  if (index === NONE) return "none";
  const certificate = run.given_up[index];
  const told = (position) => (certificate.high_rounds[position] === undefined ? "" : ` (knew round ${certificate.high_rounds[position]})`);
  return [`round ${certificate.round}; signed by `, ...joined(certificate.signers.map((signer, position) => `${replicaName(signer)}${told(position)}`))];
}

function requestList(requests, count) {
  if (!requests.length) return "none";
  const more = count > requests.length ? el("li", { class: "soft" }, `and ${count - requests.length} more`) : null;
  return el("ul", {}, requests.map((request) => el("li", {}, `${request.client} #${request.number} `, request.text ? el("code", {}, request.text) : "")), more);
}

function messageContent(message) {
  const pairs = [["from", nodeName(message.node)], ["sent", message.step === NONE ? `${seconds(message.at)}, before this window` : [seconds(message.at), ", ", stepLink(message.step)]]];
  if (message.round !== NONE) pairs.push(["round", String(message.round)]);
  if (message.sender !== NONE) pairs.push(["signed by", replicaName(message.sender)]);
  switch (message.kind) {
    case "proposal": {
      const block = run.blocks[message.block];
      if (!block) break;
      pairs.push(["block", [blockLink(message.block), ` by ${replicaName(block.author)}`]], ["extends", [blockLink(block.parent), " by the ", certificateLink(message.certificate)]],
        ["requests", requestList(block.requests, block.request_count)]);
      break;
    }
    case "vote":
      pairs.push(["block", blockLink(message.block)], ["parent round", String(message.parent_round)], message.phase && ["phase", message.phase]);
      break;
    case "timeout":
      pairs.push(["highest certified round", String(message.high_round)]);
      break;
    case "blocks":
      pairs.push(["blocks", message.blocks.length ? joined(message.blocks.map(blockLink)) : "none"]);
      break;
    default:
      if (message.requests.length) pairs.push(["content", requestList(message.requests, message.requests.length)]);
  }
  if (message.certificates.length) pairs.push(["certificates", joined(message.certificates.map(certificateLink))]);
  if (message.given_up !== NONE) pairs.push(["given up", givenUpParts(message.given_up)]);
  return pairList(pairs);
}

// The rules that decide about a delivered message, with the numbers that the receiver had.
function checksOf(message, delivery) {
  const before = delivery.step === NONE ? null : stateAt(delivery.to, delivery.step - 1);
  if (!before || run.protocol !== "diembft") return [];
  const step = run.steps[delivery.step];
  const after = step.state ?? before;
  const checks = [];
  const check = (ok, rule) => checks.push({ ok, rule });
  if (message.kind === "proposal") {
    const block = run.blocks[message.block];
    const parentRound = message.certificate === NONE ? 0 : run.certificates[message.certificate].round;
    const left = message.given_up === NONE ? null : run.given_up[message.given_up];
    const current = Math.max(before.round, parentRound + 1, left ? left.round + 1 : 0);
    check(message.round === current, `its round ${message.round} is the current round ${current}`);
    check(after.leader === block.author, `its author ${replicaName(block.author)} leads the round (leader here: ${replicaName(after.leader)})`);
    check(message.round > before.voted_round, `its round ${message.round} > the voted round ${before.voted_round}`);
    if (parentRound + 1 === message.round) check(true, `it extends the certificate of the round before, ${parentRound}`);
    else if (!left) check(false, `it extends the certificate of round ${parentRound}, so round ${message.round - 1} must be given up: nothing shows it`);
    else {
      const high = Math.max(0, ...left.high_rounds);
      check(left.round + 1 === message.round && parentRound >= high, `it extends the certificate of round ${parentRound} after round ${left.round} was given up: ${parentRound} ≥ the highest round known then, ${high}`);
    }
    const voted = step.sent.some((index) => run.messages[index].kind === "vote" && run.messages[index].block === message.block);
    checks.push({ ok: null, rule: voted ? `so ${nodeName(delivery.to)} votes for it` : `${nodeName(delivery.to)} sends no vote in this step` });
  } else if (message.kind === "vote" || message.kind === "timeout") {
    const senders = new Set();
    for (const earlier of run.steps) {
      if (earlier.index > delivery.step) break;
      if (earlier.node !== delivery.to || earlier.message === NONE) continue;
      const other = run.messages[earlier.message];
      const same = other.kind === message.kind && (message.kind === "vote" ? other.block === message.block && other.phase === message.phase : other.round === message.round);
      if (same && other.deliveries[earlier.delivery].fate !== "rejected") senders.add(other.sender);
    }
    const what = message.kind === "vote" ? `votes for ${blockName(message.block)}${inPhase(message.phase)}` : `timeouts of round ${message.round}`;
    checks.push({ ok: null, rule: `${what} received here so far: ${[...senders].map(replicaName).join(", ")} (${senders.size}; a quorum is ${run.quorum}, the own one counts too)` });
    check(message.round >= before.round - (message.kind === "vote" ? 1 : 0), `its round ${message.round} is not over (current round ${before.round})`);
  }
  return checks;
}

function checkList(checks) {
  if (!checks.length) return null;
  return [el("h3", {}, "By the rules, with the receiver's state before"), el("ul", { class: "checks" },
    checks.map(({ ok, rule }) => el("li", { class: ok === false ? "bad" : "" }, ok === null ? "→ " : ok ? "✓ " : "✗ ", ok === false ? `not so: ${rule}` : rule)))];
}

function deliveryRow(message, delivery, index, chosen) {
  const fate = FATE_NAMES[delivery.fate] + (delivery.reason ? `: ${delivery.reason}` : "");
  return el("tr", { class: chosen === index ? "current" : "" },
    el("td", {}, link(nodeName(delivery.to), () => select("message", message.index, index))),
    el("td", { class: delivery.fate === "lost" || delivery.fate === "rejected" ? "bad" : "" }, fate),
    el("td", { class: "number" }, delivery.fate === "in flight" ? "" : delivery.step === NONE ? seconds(delivery.at) : stepLink(delivery.step, seconds(delivery.at))));
}

function messageDetails(index, chosen) {
  const message = run.messages[index];
  const delivery = message.deliveries[chosen] ?? (message.deliveries.length === 1 ? message.deliveries[0] : null);
  return [
    el("p", { class: "lead" }, `Message #${message.number}: ${messageText(message)}`),
    messageContent(message),
    el("h3", {}, "On its way"),
    el("table", {}, el("thead", {}, el("tr", {}, el("th", {}, "to"), el("th", {}, "what became of it"), el("th", {}, "at"))),
      el("tbody", {}, message.deliveries.map((item, position) => deliveryRow(message, item, position, chosen)))),
    delivery ? checkList(checksOf(message, delivery)) : el("p", { class: "soft" }, "Choose a receiver to see why it was accepted or rejected there."),
    delivery && delivery.step !== NONE ? effectList(run.steps[delivery.step]) : null,
  ];
}

function effectList(step) {
  const before = step.node === NONE ? null : stateAt(step.node, step.index - 1);
  const items = [];
  if (step.state) items.push(`state: round ${before && before.round !== step.state.round ? `${before.round} → ` : ""}${step.state.round}, leader ${replicaName(step.state.leader)}, voted round ${step.state.voted_round}${step.state.locked_round === NONE ? "" : `, locked round ${step.state.locked_round}`}`);
  if (step.persisted) items.push(`persists ${step.persisted}`);
  for (const commit of step.commits) items.push(["commits ", blockLink(commit.block), ` at height ${commit.height} by the `, certificateLink(commit.certificate)]);
  for (const index of step.sent) items.push(["sends ", messageLink(index), ` to ${receivers(run.messages[index])}`]);
  for (const timer of step.timers) items.push(timer.delay_s === undefined ? `stops its ${timer.timer} timer` : `sets its ${timer.timer} timer to ${timer.delay_s} s (round ${timer.round})`);
  for (const evidence of step.evidence) items.push(`reports ${evidence}`);
  return [el("h3", {}, "What the node did then"), items.length ? el("ul", {}, items.map((item) => el("li", {}, item))) : el("p", { class: "soft" }, "Nothing.")];
}

function stepDetails(index) {
  const step = run.steps[index];
  const message = step.message === NONE ? null : run.messages[step.message];
  return [
    el("p", { class: "lead" }, `Step ${index + 1}, ${seconds(step.at)}`),
    el("p", {}, causeText(step)),
    message ? messageContent(message) : null,
    message ? checkList(checksOf(message, message.deliveries[step.delivery])) : null,
    step.node === NONE ? null : effectList(step),
  ];
}

// What a node knows and holds after a step, and how it came to that.
function stateDetails(node, index) {
  const list = statesOf[node], at = run.steps[index].at, entry = lastIndexAt(list, index);
  const state = list.states[entry], changed = list.steps[entry], next = list.steps[entry + 1];
  const certificate = (held) => (held === NONE ? "none" : [certificateLink(held), " ", signersOf(run.certificates[held])]);
  const committed = run.blocks.map((_, block) => block).filter((block) => run.blocks[block].committed[node] !== NONE && run.blocks[block].committed[node] <= index);
  const last = committed.reduce((best, block) => (best === NONE || run.blocks[block].round > run.blocks[best].round ? block : best), NONE);
  const timer = timerSpans.find((span) => span.node === node && span.start <= at && at < span.end);
  const status = statusAt(node, index);
  return [
    el("p", { class: "lead" }, `State of ${nodeName(node)} at ${seconds(at)}`),
    status === "up" ? null : el("p", { class: "bad" }, status),
    pairList([
      ["current round", String(state.round)],
      ["its leader", state.leader === run.nodes[node].replica ? `${replicaName(state.leader)}, itself` : replicaName(state.leader)],
      ["voted round", String(state.voted_round)],
      state.locked_round !== NONE && ["locked round", String(state.locked_round)],
      ["highest certificate", certificate(state.high)],
      ["committed by", certificate(state.committed_by)],
      ["given up", givenUpParts(state.given_up)],
      ["committed", state.height ? [`${state.height} blocks, the last one `, blockLink(last)] : "nothing"],
      ["round timer", timer ? `${timer.delay} s, since ${seconds(timer.start)}` : "not set"],
    ]),
    el("h3", {}, "How it came to this"),
    el("p", {}, changed === NONE ? "It was so before this window." : [stepText(run.steps[changed]), " (", stepLink(changed, seconds(run.steps[changed].at)), ")"]),
    next === undefined ? null : el("p", { class: "soft" }, "It changes next in ", stepLink(next, `step ${next + 1}, ${seconds(run.steps[next].at)}`), "."),
  ];
}

function blockDetails(index) {
  const block = run.blocks[index];
  const proposals = run.messages.filter((message) => message.kind === "proposal" && message.block === index);
  const committed = replicaNodes.filter((node) => block.committed[node] !== NONE);
  return [
    el("p", { class: "lead" }, `Block ${block.name}`),
    pairList([
      ["id", el("code", {}, block.id)],
      ["round", String(block.round)],
      ["author", block.author === NONE ? "unknown (only certificates of it were seen)" : replicaName(block.author)],
      block.round > 0 && ["extends", [blockLink(block.parent), " by the ", certificateLink(block.certificate)]],
      ["extended by", block.children.length ? joined(block.children.map(blockLink)) : "no block"],
      block.round > 0 && ["certified", block.certificates.length ? block.certificates.map((certificate) => el("div", {}, certificateLink(certificate), " ", signersOf(run.certificates[certificate]))) : "no"],
      ["committed by", committed.length ? joined(committed.map((node) => (run.steps[block.committed[node]] ? stepLink(block.committed[node], nodeName(node)) : nodeName(node)))) : "no node"],
      ["requests", requestList(block.requests, block.request_count)],
      proposals.length && ["proposed in", joined(proposals.map((message) => messageLink(message.index)))],
    ]),
  ];
}

function certificateDetails(index) {
  const certificate = run.certificates[index];
  const votes = votesOf(certificate);
  const fewer = certificate.round > 0 && certificate.signers.length < run.quorum;
  return [
    el("p", { class: "lead" }, certificate.round === 0 ? "Genesis certificate" : `Certificate of ${blockName(certificate.block)}, round ${certificate.round}${inPhase(certificate.phase)}`),
    pairList([
      ["certifies", blockLink(certificate.block)],
      ["signed by", [signersOf(certificate), el("div", { class: fewer ? "bad" : "soft" }, `${certificate.signers.length} distinct; a quorum is ${run.quorum} of ${run.n}`)]],
      certificate.phase && ["phase", certificate.phase],
      certificate.parent_round !== NONE && ["parent round", String(certificate.parent_round)],
      ["commits", certificate.commits && certificate.round > 0 ? blockLink(certificate.head) : "nothing"],
      ["known to", names(replicaNodes.filter((node) => certificate.known[node] !== NONE)) || "nobody"],
    ]),
    votes.length ? [el("h3", {}, "Votes sent for it"), el("ul", {}, votes.map((vote) => el("li", {}, messageLink(vote), ` by ${nodeName(run.messages[vote].node)} to ${receivers(run.messages[vote])}`)))] : null,
  ];
}

function details() {
  if (!run.steps.length) return [el("p", { class: "soft" }, "Nothing happens in this trace.")];
  switch (selection.type) {
    case "message": return messageDetails(selection.index, selection.delivery);
    case "state": return stateDetails(selection.delivery, selection.index);
    case "block": return blockDetails(selection.index);
    case "certificate": return certificateDetails(selection.index);
    default: return stepDetails(replay.step);
  }
}
