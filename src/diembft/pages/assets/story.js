// The story of a violation: what is violated, which blocks conflict, who signed both, and how it came about. Or of a run
// that failed without one: what failed, and where it came to a halt.

let shownStory = run.stories[0] ?? null;
setStory(shownStory);
const SIDE_SIGNS = ["①", "②", "③", "④"];

function story() {
  const it = shownStory;
  const which = run.stories.length > 1
    ? el("select", { "aria-label": it.violation ? "Violation" : "Failure", onchange: (event) => showStory(Number(event.target.value)) },
      run.stories.map((one, index) => el("option", { value: index, selected: one === it }, `${index + 1}. ${one.property}${one.round === NONE ? "" : `, round ${one.round}`}`)))
    : null;
  return [
    which,
    el("p", { class: "lead bad", id: "story-property" }, `✖ ${it.property} ${it.violation ? "is violated" : "failed"}`),
    it.meaning ? el("p", { class: "soft" }, it.meaning) : null,
    el("p", { id: "story-detail" }, it.detail),
    el("p", {}, stepLink(it.moment, it.violation ? "Go to the moment it came about" : "Go to the end"), it.moment === it.step ? "" : [" (", stepLink(it.step, "noted later"), ")"], it.nodes.length ? `; it concerns ${names(it.nodes)}` : "", "."),
    it.sides.length ? conflict(it) : namedCertificates(it),
    it.votes.length ? [el("h3", {}, "Votes that show it"), el("ul", { id: "story-votes" }, it.votes.map((vote) => el("li", {}, `${replicaName(vote.replica)} in round ${vote.round}${inPhase(vote.phase)} for `, blockLink(vote.block))))] : null,
    observations(it),
    equivocations(it),
    rounds(it),
    scenario(),
    run.replay ? [el("h3", {}, "Run it again"), el("pre", {}, run.replay)] : null,
  ];
}

function conflict(it) {
  const since = it.fork === NONE ? "" : ` Their last common block is ${blockName(it.fork)}.`;
  return [
    el("h3", {}, `Blocks that conflict`),
    el("p", {}, `${joined(it.sides.map((side) => blockName(side.block)), " and ").join("")} lie on different branches.${since}`),
    el("div", { class: "sides" }, it.sides.map((side, index) => sideCard(side, index))),
    el("div", { id: "story-both" }, it.both.length ? [el("b", {}, "Signed on both sides"), el("ul", {}, it.both.map((replica) => bothLine(it, replica)))] : bothVoted(it)),
  ];
}

// In which rounds a replica signed certificates of both sides: the rules allow different ones.
function bothLine(it, replica) {
  const rounds = it.sides.map((side) => [...new Set((side.chain ?? []).filter((block) => run.blocks[block].certificates.some((index) => run.certificates[index].signers.includes(replica))).map((block) => run.blocks[block].round))]);
  const same = rounds[0].filter((round) => rounds.every((others) => others.includes(round)));
  const when = same.length ? `in the same round${same.length > 1 ? "s" : ""} ${same.join(", ")}` : `in different rounds: ${rounds.map((of) => of.join(", ")).join(" and ")}`;
  return el("li", {}, el("span", { class: "signer both" }, replicaName(replica)), ` ${when} ${twinNote(replica)}`);
}

function bothVoted(it) {
  const [first, ...others] = it.sides.map((side) => side.voters ?? []);
  const voted = first.filter((replica) => others.every((voters) => voters.includes(replica)));
  if (!voted.length) return "No replica signed certificates on both sides.";
  return [el("b", {}, "Voted on both sides: "), voted.map((replica) => el("span", { class: "signer both" }, replicaName(replica))), ` ${voted.map(twinNote).filter(Boolean).join(" ")}`];
}

function twinNote(replica) {
  const copies = run.nodes.filter((node) => node.replica === replica);
  return copies.length > 1 ? `(${copies.map((node) => node.name).join(" and ")} are twins)` : "";
}

function sideCard(side, index) {
  const chain = side.chain ?? [];
  return el("div", { class: `side side${index % 4}`, "data-side": index },
    el("h4", {}, `${SIDE_SIGNS[index % 4]} `, blockLink(side.block)),
    chain.map((block) => el("div", {}, blockLink(block), ": ", run.blocks[block].certificates.length
      ? joined(run.blocks[block].certificates.map((certificate) => el("span", {}, signersOf(run.certificates[certificate]), " ", link("certificate", () => select("certificate", certificate)))), " and ")
      : [el("span", { class: "soft" }, "not certified"), block === side.block && side.voters && side.voters.length ? [", votes of ", side.voters.map((replica) => el("span", { class: "voter" }, replicaName(replica)))] : ""])),
    side.committed_by && side.committed_by.length
      ? el("div", {}, `committed by ${names(side.committed_by)}`, side.commit_certificate === undefined || side.commit_certificate === NONE ? "" : [" by the ", certificateLink(side.commit_certificate)])
      : el("div", { class: "soft" }, "committed by no node"));
}

function namedCertificates(it) {
  if (!it.certificates.length) return null;
  return [el("h3", {}, "Certificates that show it"), el("ul", { id: "story-certificates" }, it.certificates.map((index) => el("li", {}, certificateLink(index), ": ", signersOf(run.certificates[index]))))];
}

function observations(it) {
  if (!it.observations.length) return null;
  return [el("h3", {}, it.violation ? "What the rules do not allow, and was seen" : "What was seen"), it.observations.map((observation) => el("div", { class: "note", "data-rule": observation.rule }, observation.text, " ",
    observation.step === undefined || observation.step === NONE ? "" : link("show", () => goTo(observation.step, true))))];
}

function equivocations(it) {
  if (!it.equivocations.length) return null;
  return [el("h3", {}, "Who said different things to whom"), el("ul", { id: "story-equivocations" }, it.equivocations.map((one) => el("li", {},
    `${replicaName(one.replica)}, round ${one.round}${inPhase(one.phase)}: `,
    joined(one.told.map((told) => [`${nodeName(told.node)} ${one.kind === "vote" ? "voted for" : "proposed"} `, messageLink(told.message, blockName(told.block)), heardText(told)]), "; "))))];
}

function heardText({ heard, message }) {
  if (heard.length) return `, heard by ${names(heard)}`;
  return run.messages[message].deliveries.length ? ", heard by nobody" : ", to itself alone";
}

function rounds(it) {
  if (!it.rounds.length) return null;
  return [el("h3", {}, it.violation ? "The rounds that made it possible" : "The last rounds"), el("table", { id: "story-rounds" },
    el("thead", {}, el("tr", {}, ["round", "leader", "sets", "certified", "gave up"].map((head) => el("th", {}, head)))),
    el("tbody", {}, it.rounds.map((one) => [el("tr", { "data-round": one.round },
      el("td", {}, link(String(one.round), () => showRounds(one.round - 1, one.round + 1))),
      el("td", {}, one.leaders.map(replicaShort).join(", ")),
      el("td", {}, one.sets.length > 1 ? setsText(one.sets) : one.sets.length ? "whole" : ""),
      el("td", {}, one.certificates.map((index) => el("div", {}, link(blockName(run.certificates[index].block), () => select("certificate", index)), ` ${run.certificates[index].signers.map(replicaShort).join(" ")}`))),
      el("td", {}, one.timeouts.map(replicaShort).join(" "))),
    one.lost.length ? el("tr", { class: "lost" }, el("td", {}), el("td", { colspan: 4 }, one.lost.map((lost) => el("div", {}, lostText(lost))))) : null])))];
}

function lostText({ kind, senders, receivers, reason }) {
  return `✕ ${KIND_NAMES[kind]}${senders.length > 1 ? "s" : ""} ${setText(senders)} → ${setText(receivers)} (${reason})`;
}

function showStory(index) {
  shownStory = run.stories[index];
  setStory(shownStory);
  nameSides();
  showStoryMoment();
  drawPanel();
}

// The moment when the violation came about, and the rounds before it that the story tells of.
function showStoryMoment() {
  goTo(shownStory.moment, false);
  const told = shownStory.rounds;
  const end = placeOf(run.steps[shownStory.moment].at);
  const first = run.bands.find((band) => told.length && band.round >= told[0].round);
  const start = first ? Math.min(placeOf(first.start), end) : end - scale.length / 4;
  setView(start - (end - start) * 0.02, end + Math.max((end - start) * 0.06, usualFlight));
}
