// The space-time diagram: nodes as lanes, time to the right, rounds as bands, messages as arrows.

const GUTTER = 92;
const DETAIL_LIMIT = 1600; // Up to so many arrows in view each is an element of its own; beyond that they are drawn in bulk.
const diagram = byId("diagram");
const filter = { families: new Set(Object.keys(FAMILIES)), lost: true, timers: false, first: 0, last: Infinity, nodes: new Set(), story: true };
const shown = { hits: [], marks: [], hovered: null };
let drawWanted = false;

function requestDraw() {
  if (drawWanted) return;
  drawWanted = true;
  requestAnimationFrame(() => {
    drawWanted = false;
    drawDiagram();
  });
}

function lanes() {
  return filter.families.has("client") ? [...replicaNodes, ...clientNodes] : replicaNodes;
}

function geometry() {
  const box = byId("diagram-section");
  const width = Math.max(300, box.clientWidth);
  const order = lanes();
  const hasSets = run.bands.some((band) => band.sets.length > 1);
  const head = hasSets ? 50 : 36;
  const gap = Math.max(24, Math.min(120, (box.clientHeight - head - 34) / order.length));
  const height = Math.max(box.clientHeight - 1, head + gap * order.length + 30);
  const rowOf = new Map(order.map((node, row) => [node, row]));
  const perPlace = (width - GUTTER - 8) / (view.end - view.start);
  return {
    width, height, head, gap, order, rowOf, hasSets,
    x: (at) => GUTTER + (placeOf(at) - view.start) * perPlace,
    y: (node) => head + gap * (rowOf.get(node) + 0.5),
    bottom: head + gap * order.length,
  };
}

// Whether the filters let a message through.
function passes(message) {
  if (!filter.families.has(message.family)) return false;
  if (message.round !== NONE && message.round !== undefined && (message.round < filter.first || message.round > filter.last)) return false;
  return !filter.story || !shownStory || !shownStory.sides.length || toldOf(message);
}

// Whether a message is about the blocks that conflict, or brings their certificates in a proposal.
function toldOf(message) {
  if (message.family === "timeout" || sideOf(message.block) !== NONE) return true;
  return message.kind === "proposal" && message.certificate !== NONE && sideOf(run.certificates[message.certificate].block) !== NONE;
}

function deliveryPasses(message, delivery) {
  if (!filter.lost && delivery.fate === "lost") return false;
  return !filter.nodes.size || filter.nodes.has(message.node) || filter.nodes.has(delivery.to);
}

// The two ends of an arrow. One that was lost ends where it was lost: at the wall of a partition, at a node that is down,
// otherwise half-way.
function arrow(g, message, delivery) {
  const x1 = g.x(message.at), y1 = g.y(message.node);
  const yTo = g.y(delivery.to);
  const arrived = delivery.step !== NONE || delivery.fate === "delivered" || delivery.fate === "rejected" || delivery.fate === "ignored";
  const until = arrived || (delivery.fate === "lost" && delivery.at > message.at) ? delivery.at : message.at + usualFlight;
  let x2 = g.x(until), y2 = yTo, share = 1;
  if (!arrived) {
    share = 0.5;
    if (delivery.fate === "lost" && delivery.reason.includes("crash")) share = 0.9;
    else if (delivery.fate === "lost" && delivery.reason.includes("partition")) share = wallShare(g, message, delivery);
  }
  const lift = Math.sign(yTo - y1) * 7;
  const dx = x2 - x1, dy = yTo - y1 - 2 * lift;
  return { x1, y1: y1 + lift, x2: x1 + dx * share, y2: y1 + lift + dy * share, arrived };
}

// How far along its way a message meets the first wall.
function wallShare(g, message, delivery) {
  const sets = setsFor(message);
  const from = g.rowOf.get(message.node), to = g.rowOf.get(delivery.to);
  const direction = Math.sign(to - from);
  for (let row = from; row !== to; row += direction)
    if (setIndex(sets, g.order[row]) !== setIndex(sets, g.order[row + direction])) return (Math.abs(row - from) + 0.5) / Math.abs(to - from);
  return 0.5;
}

function setsFor(message) {
  const band = run.bands.find((candidate) => candidate.round === message.round);
  if (band && band.sets.length > 1) return band.sets;
  const wall = walls.find((candidate) => candidate.start <= message.at && (candidate.end === null || message.at < candidate.end));
  return wall ? wall.sets : [];
}

function setIndex(sets, node) {
  const index = sets.findIndex((members) => members.includes(node));
  return index === -1 ? -2 - node : index;
}

function drawDiagram() {
  const g = geometry();
  shown.hits = [];
  shown.marks = [];
  diagram.setAttribute("height", g.height);
  diagram.setAttribute("viewBox", `0 0 ${g.width} ${g.height}`);
  const body = svg("g", { "clip-path": "url(#inside)" });
  body.append(drawBands(g), drawWalls(g), drawLanes(g), drawMessages(g), drawMarks(g));
  diagram.replaceChildren(definitions(g), body, svg("g", { id: "cursor", "clip-path": "url(#inside)" }), drawHead(g), drawGutter(g));
  drawCursor(g);
}

function definitions(g) {
  const heads = Object.keys(FAMILIES).map((family) => (family === "vote" ? openHead("head-vote", "f-vote-open") : head(`head-${family}`, `f-${family}`)));
  const sides = [0, 1, 2, 3].map((side) => [head(`head-s${side}`, `fs${side}`), openHead(`head-vote-s${side}`, `open s${side}`)]).flat();
  return svg("defs", {},
    ...heads, ...sides,
    svg("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      svg("line", { x1: 0, y1: 0, x2: 0, y2: 6, class: "hatch" })),
    svg("pattern", { id: "down", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(-45)" },
      svg("line", { x1: 0, y1: 0, x2: 0, y2: 5, class: "down-line" })),
    svg("clipPath", { id: "inside" }, svg("rect", { x: GUTTER, y: 0, width: Math.max(1, g.width - GUTTER), height: g.height })));
}

function head(id, style) {
  return svg("marker", { id, viewBox: "0 0 8 8", refX: 7.4, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" },
    svg("path", { d: "M0 0.8 L8 4 L0 7.2 Z", class: style }));
}

// Votes have an open head, so that they differ from proposals in more than colour.
function openHead(id, style) {
  return svg("marker", { id, viewBox: "0 0 9 8", refX: 7.6, refY: 4, markerWidth: 9, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" },
    svg("path", { d: "M1 0.8 L7.6 4 L1 7.2", class: style }));
}

function visible(g, start, end) {
  return g.x(end) >= GUTTER - 4 && g.x(start) <= g.width + 4;
}

function drawBands(g) {
  const group = svg("g");
  run.bands.forEach((band, index) => {
    if (index % 2 || !visible(g, band.start, band.end)) return;
    group.append(svg("rect", { class: "band", x: g.x(band.start), y: 0, width: Math.max(0.5, g.x(band.end) - g.x(band.start)), height: g.bottom }));
  });
  return group;
}

// Round, leader and sets above each band; a label is left out where it does not fit.
function drawHead(g) {
  const group = svg("g", { id: "head", "clip-path": "url(#inside)" });
  let free = -Infinity;
  for (const band of run.bands) {
    if (!visible(g, band.start, band.end)) continue;
    const left = Math.max(GUTTER, g.x(band.start)), right = Math.min(g.width, g.x(band.end));
    const middle = (left + right) / 2, room = right - left;
    const title = bandTitle(band);
    const label = room > 62 ? `round ${band.round}` : String(band.round);
    if (middle - 3.8 * label.length < free) continue;
    free = middle + 3.8 * label.length + 4;
    const cell = svg("g", { class: "round-head" }, svg("title", {}, title), text(middle, 13, label, "bold", "middle"));
    const leaders = `★ ${band.leaders.map(replicaShort).join(", ")}`;
    if (band.leaders.length && room > 7 * leaders.length) cell.append(text(middle, 27, leaders, "", "middle"));
    if (g.hasSets && band.sets.length) {
      const lost = lostInRound.get(band.round) ?? 0;
      const sets = (band.sets.length > 1 ? setsText(band.sets) : "whole") + (lost ? `, ${lost} lost` : "");
      if (room > 6.2 * sets.length) cell.append(text(middle, 42, sets, band.sets.length > 1 ? "bold" : "soft", "middle"));
      else if (room > 34 && band.sets.length > 1) cell.append(text(middle, 42, `${band.sets.length} sets`, "soft", "middle"));
    }
    group.append(cell);
  }
  return group;
}

function bandTitle(band) {
  const parts = [`Round ${band.round}, from ${seconds(band.start)}`];
  if (band.leaders.length) parts.push(`leader ${band.leaders.map(replicaName).join(", ")}`);
  if (band.sets.length) parts.push(band.sets.length > 1 ? `sets: ${setsText(band.sets)}` : "network whole");
  return parts.join("\n");
}

function text(x, y, content, style = "", anchor = "start") {
  return svg("text", { x, y, class: style, "text-anchor": anchor }, content);
}

// Walls stand between neighbouring lanes that are in different sets.
function drawWalls(g) {
  const group = svg("g", { id: "walls" });
  const wall = (start, end, sets) => {
    const left = Math.max(GUTTER, g.x(start)), right = Math.min(g.width, g.x(end));
    if (right <= left) return;
    for (let row = 0; row + 1 < g.order.length; row++) {
      const [above, below] = [g.order[row], g.order[row + 1]];
      if (run.nodes[below].replica === NONE || setIndex(sets, above) === setIndex(sets, below)) continue;
      group.append(svg("rect", { class: "wall", x: left + 1, y: g.head + g.gap * (row + 1) - 3, width: Math.max(1, right - left - 2), height: 6 },
        svg("title", {}, `Partition: ${setsText(sets)}`)));
    }
  };
  for (const band of run.bands) if (band.sets.length > 1 && visible(g, band.start, band.end)) wall(band.start, band.end, band.sets);
  for (const { start, end, sets } of walls) if (visible(g, start, end ?? endTime)) wall(start, end ?? endTime, sets);
  return group;
}

const laneThickness = (g) => Math.min(14, g.gap * 0.4);

// Each lane in segments, one for each round that the node was in.
function drawLanes(g) {
  const group = svg("g", { id: "lanes" });
  const thick = laneThickness(g);
  for (const node of g.order) {
    const y = g.y(node);
    group.append(svg("line", { class: "lane", x1: GUTTER, x2: g.width, y1: y, y2: y }));
    if (run.nodes[node].replica === NONE) continue;
    const { steps, states } = statesOf[node];
    for (let index = 0; index < states.length; index++) {
      const round = states[index].round, leads = states[index].leader === run.nodes[node].replica;
      if (index && states[index - 1].round === round) continue;
      let next = index + 1;
      while (next < states.length && states[next].round === round) next++;
      const start = steps[index] === NONE ? run.bands[0].start : run.steps[steps[index]].at;
      const end = next < states.length ? run.steps[steps[next]].at : endTime;
      if (!visible(g, start, end)) continue;
      const left = Math.max(GUTTER - 6, g.x(start)), width = Math.max(1, g.x(end) - left - 1);
      group.append(svg("rect", { class: `segment-${round % 2 ? "a" : "b"} segment${leads ? " leads" : ""}`, x: left, y: y - thick / 2, width, height: thick, rx: width > 4 ? 3 : 0 },
        width > 4 ? svg("title", {}, `${nodeName(node)} in round ${round}${leads ? ", leader" : ""}`) : null));
      const label = leads ? `★${round}` : String(round);
      if (width > 13 + 7 * label.length && thick > 10) group.append(text(Math.max(left, GUTTER) + 8, y + 3.5, label, "segment-text"));
    }
    group.append(...drawDown(g, node, y, thick));
  }
  return group;
}

// Where a node is crashed or stands still.
function drawDown(g, node, y, thick) {
  const { steps, states } = statusOf[node];
  const parts = [];
  states.forEach((status, index) => {
    if (status === "up") return;
    const start = steps[index] === NONE ? run.bands[0].start : run.steps[steps[index]].at;
    const end = index + 1 < states.length ? run.steps[steps[index + 1]].at : endTime;
    if (!visible(g, start, end)) return;
    const left = Math.max(GUTTER - 6, g.x(start)), width = Math.max(1, g.x(end) - left);
    parts.push(svg("rect", { class: "gutter", x: left, y: y - thick / 2 - 1, width, height: thick + 2 }),
      svg("rect", { class: "down", x: left, y: y - thick / 2, width, height: thick }, svg("title", {}, `${nodeName(node)} ${status === "crashed" ? "is down" : "stands still"}`)));
  });
  return parts;
}

function drawMessages(g) {
  const group = svg("g", { id: "messages" });
  const arrows = [];
  for (const message of run.messages) {
    if (message.at > endTime || g.x(message.at) > g.width + 4 || !passes(message) || !g.rowOf.has(message.node)) continue;
    message.deliveries.forEach((delivery, index) => {
      if (!g.rowOf.has(delivery.to) || !deliveryPasses(message, delivery)) return;
      const place = arrow(g, message, delivery);
      if (place.x2 < GUTTER - 4) return;
      arrows.push({ message, delivery, index, ...place });
    });
  }
  shown.hits = arrows;
  if (arrows.length > DETAIL_LIMIT) drawInBulk(group, arrows);
  else {
    const labels = [];
    arrows.forEach((item) => group.append(...drawArrow(item, labels)));
  }
  group.setAttribute("data-arrows", arrows.length);
  return group;
}

function drawInBulk(group, arrows) {
  const paths = new Map();
  const crosses = [];
  for (const { message, delivery, x1, y1, x2, y2 } of arrows) {
    if (!paths.has(message.family)) paths.set(message.family, []);
    paths.get(message.family).push(`M${x1.toFixed(1)} ${y1.toFixed(1)}L${x2.toFixed(1)} ${y2.toFixed(1)}`);
    if (delivery.fate === "lost") crosses.push(`M${(x2 - 2).toFixed(1)} ${(y2 - 2).toFixed(1)}l4 4m0 -4l-4 4`);
  }
  for (const [family, parts] of paths) group.append(svg("path", { class: `message batch k-${family}`, d: parts.join("") }));
  if (crosses.length) group.append(svg("path", { class: "fate thin", d: crosses.join("") }));
}

// A label, unless it would cover one of those placed before, or stand within `apart` of one that says the same.
function labelAt(placed, x, y, content, style, apart = 0) {
  const width = 6.2 * content.length;
  const covers = (other) => Math.abs(other.y - y) < 11 && x < other.x + other.width && other.x < x + width;
  const repeats = (other) => other.content === content && Math.hypot(other.x - x, other.y - y) < apart;
  if (placed.some((other) => covers(other) || repeats(other))) return [];
  placed.push({ x, y, width, content });
  return [text(x, y, content, style)];
}

function drawArrow({ message, delivery, index, x1, y1, x2, y2, arrived }, labels) {
  const side = sideOf(message.block);
  const tone = side === NONE ? "" : ` s${side}`;
  const parts = [svg("line", {
    class: `message k-${message.family}${tone} ${delivery.fate.replace(" ", "-")}`, x1, y1, x2, y2,
    "data-message": message.index, "data-delivery": index,
    "marker-end": arrived ? `url(#head-${side === NONE ? message.family : `${message.family === "vote" ? "vote-" : ""}s${side}`})` : null,
  })];
  if (delivery.fate === "lost") {
    parts.push(cross(x2, y2, 3.5, "fate"));
    parts.push(...labelAt(labels, x2 + 6, y2 + 3, delivery.reason, "lost-text haloed", 90));
  } else if (delivery.fate === "rejected") {
    parts.push(svg("circle", { class: "fate", cx: x2, cy: y2, r: 4.5 }), svg("line", { class: "fate", x1: x2 - 3, y1: y2 + 3, x2: x2 + 3, y2: y2 - 3 }));
  }
  if (message.kind === "proposal" && index === 0 && Math.hypot(x2 - x1, y2 - y1) > 40)
    parts.push(...labelAt(labels, x1 + 3, y1 + (y2 > y1 ? 12 : -6), blockName(message.block), `small bold haloed${side === NONE ? "" : ` fs${side}`}`));
  return parts;
}

function cross(x, y, size, style) {
  return svg("path", { class: style, d: `M${x - size} ${y - size}L${x + size} ${y + size}M${x - size} ${y + size}L${x + size} ${y - size}` });
}

// Timers, commits, faults and violations, on their lanes.
function drawMarks(g) {
  const group = svg("g", { id: "marks" });
  const labelled = new Map(); // Where the last label on each lane ends.
  const ticks = [];
  const violations = new Set();
  const inView = Math.max(1, run.steps.length * ((view.end - view.start) / scale.length));
  const room = ((g.width - GUTTER) / inView) * g.order.length; // Pixels for each step of a lane.
  if (filter.timers)
    for (const span of timerSpans) {
      if (!visible(g, span.start, span.end)) continue;
      const y = g.y(span.node) + Math.min(12, g.gap * 0.36);
      group.append(svg("line", { class: "timer-line", x1: g.x(span.start), x2: g.x(span.end), y1: y, y2: y },
        svg("title", {}, `${span.timer} timer of ${span.delay} s, ${span.fired ? "ran out" : "stopped or replaced"}`)));
    }
  for (const step of run.steps) {
    const x = g.x(step.at);
    if (x < GUTTER - 4 || x > g.width + 4) continue;
    if (step.kind === "violated") {
      if (violations.has(step.at)) continue;
      violations.add(step.at);
      group.append(svg("line", { class: "violation", x1: x, x2: x, y1: g.head - 4, y2: g.bottom }), violationLabel(g, x, step));
      shown.marks.push({ x, y: g.bottom + 8, step: step.index });
      continue;
    }
    if (!g.rowOf.has(step.node)) {
      if (step.kind === "synchronous") group.append(svg("path", { class: "plain-line", d: `M${x} ${g.head}V${g.bottom}` }), text(x + 3, g.bottom + 12, "synchronous from here", "small soft"));
      continue;
    }
    const y = g.y(step.node);
    const parts = markFor(step, x, y);
    if (step.commits.length) {
      if (room > 4) parts.push(svg("path", { class: "mark commit", d: `M${x} ${y - 6}L${x + 5} ${y}L${x} ${y + 6}L${x - 5} ${y}Z` }));
      else ticks.push(`M${x.toFixed(1)} ${y - 3}v6`);
      const label = step.commits.map((commit) => blockName(commit.block)).join(" ");
      const start = x - 5 - 6.5 * label.length;
      if (g.gap > 30 && room > 4 && start > (labelled.get(step.node) ?? 0)) {
        labelled.set(step.node, x);
        parts.push(text(x - 5, y - 9, label, "small bold haloed", "end"));
      }
    }
    if (!parts.length) continue;
    shown.marks.push({ x, y, step: step.index });
    group.append(...parts);
  }
  if (ticks.length) group.append(svg("path", { class: "mark tick", d: ticks.join("") }));
  return group;
}

function violationLabel(g, x, step) {
  const properties = run.steps.filter((other) => other.kind === "violated" && other.at === step.at).map((other) => other.text);
  const label = `✖ ${[...new Set(properties)].join(", ")}`;
  const end = x + 7 * label.length > g.width;
  return text(end ? x - 4 : x + 4, g.bottom + 13, label, "fault", end ? "end" : "start");
}

function markFor(step, x, y) {
  switch (step.kind) {
    case "fired":
      return step.text === "round"
        ? [svg("circle", { class: "mark timer", cx: x, cy: y, r: 5.5 }), svg("path", { class: "mark timer", d: `M${x} ${y - 3.5}V${y}H${x + 2.5}` })]
        : [];
    case "crashed": return [cross(x, y, 5, "fate")];
    case "restarted":
    case "resumed": return [svg("path", { class: "mark", d: `M${x - 4} ${y - 5}L${x + 5} ${y}L${x - 4} ${y + 5}Z` })];
    case "paused": return [svg("path", { class: "mark", d: `M${x - 2.5} ${y - 5}V${y + 5}M${x + 2.5} ${y - 5}V${y + 5}` })];
    case "set_attribute": return [text(x, y - 8, "⚡", "fault", "middle")];
    case "accepted": return [text(x, y + 4, "✓", "bold", "middle")];
    default: return step.evidence.length ? [text(x, y - 8, "⚑", "fault", "middle")] : [];
  }
}

// Names of the lanes; a click shows only the messages of the nodes chosen.
function drawGutter(g) {
  const group = svg("g", { id: "gutter" }, svg("rect", { class: "gutter", x: 0, y: 0, width: GUTTER, height: g.height }));
  group.append(text(8, 13, "round", "soft small"), text(8, 27, "leader", "soft small"));
  if (g.hasSets) group.append(text(8, 42, "sets", "soft small"));
  g.order.forEach((node, row) => {
    const { name, correct, twin, replica } = run.nodes[node];
    const y = g.y(node);
    const chosen = filter.nodes.has(node);
    const toggle = () => {
      if (!filter.nodes.delete(node)) filter.nodes.add(node);
      drawDiagram();
      diagram.querySelector(`[data-lane="${node}"]`).focus();
    };
    group.append(svg("g", {
      class: `lane-label${filter.nodes.size && !chosen ? " off" : ""}`, role: "button", tabindex: 0, "data-lane": node, "aria-pressed": String(chosen),
      "aria-label": `Only messages of ${name}`, onclick: toggle,
      onkeydown: (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); event.stopPropagation(); toggle(); }
      },
    }, svg("title", {}, `${name}${twin ? ", a twin" : correct ? "" : ", not correct"}\nClick: only messages of this node`),
    svg("rect", { x: 0, y: y - g.gap / 2, width: GUTTER - 6, height: g.gap, fill: "transparent" }),
    text(26, y + 4, clip(name, 9), "bold"),
    twin || correct ? null : text(26, y + 15, "faulty", "small fault")));
    const below = g.order[row + 1];
    if (below !== undefined && replica !== NONE && run.nodes[below].replica === replica)
      group.append(svg("path", { class: "twin", d: `M22 ${y}H16V${y + g.gap}H22` }), svg("text", { class: "small soft", transform: `translate(12 ${y + g.gap / 2}) rotate(-90)`, "text-anchor": "middle" }, g.gap > 30 ? "twins" : ""));
  });
  group.append(drawTimes(g));
  return group;
}

// The time axis.
function drawTimes(g) {
  const group = svg("g", { id: "times" });
  const wanted = 90;
  for (let x = Math.max(GUTTER, g.x(scale.times[0])); x < g.width - 30; x += wanted) {
    const at = timeOfX(x);
    group.append(svg("line", { class: "plain-line", x1: x, x2: x, y1: g.bottom, y2: g.bottom + 4 }), text(x + 3, g.height - 5, seconds(at), "small soft"));
  }
  for (const index of scale.cuts) {
    const x = g.x((scale.times[index] + scale.times[index - 1]) / 2);
    if (x > GUTTER && x < g.width) group.append(svg("g", {}, svg("title", {}, "Idle time, shortened"), text(x, g.bottom + 4, "≈", "soft", "middle")));
  }
  return group;
}

// The moment of replay: a line, a veil over what comes later, and the step's own messages.
function drawCursor(g = geometry()) {
  const group = byId("cursor");
  if (!group) return;
  const step = run.steps[replay.step];
  const parts = [];
  if (step) {
    const x = g.x(step.at);
    if (replay.step < run.steps.length - 1) parts.push(svg("rect", { class: "veil", x: Math.max(GUTTER, x), y: 0, width: Math.max(0, g.width - Math.max(GUTTER, x)), height: g.bottom }));
    parts.push(svg("line", { class: "cursor", x1: x, x2: x, y1: 0, y2: g.bottom }));
    if (g.rowOf.has(step.node)) parts.push(svg("circle", { class: "ring", cx: x, cy: g.y(step.node), r: 9 }));
    if (step.message !== NONE) parts.push(...highlight(g, run.messages[step.message], step.delivery, "now"));
  }
  if (selection.type === "state" && g.rowOf.has(selection.delivery)) parts.push(svg("circle", { class: "ring", cx: g.x(run.steps[selection.index].at), cy: g.y(selection.delivery), r: 6 }));
  if (selection.type === "message") parts.push(...highlight(g, run.messages[selection.index], selection.delivery));
  if (selection.type === "block")
    for (const message of run.messages) if (message.block === selection.index && (message.kind === "proposal" || message.kind === "vote") && passes(message)) parts.push(...highlight(g, message, NONE));
  if (selection.type === "certificate")
    for (const index of votesOf(run.certificates[selection.index])) parts.push(...highlight(g, run.messages[index], NONE));
  group.replaceChildren(...parts);
}

// The votes that a certificate was made of, as far as they were sent as messages.
function votesOf(certificate) {
  return run.messages.filter((message) => message.kind === "vote" && message.block === certificate.block && (!certificate.phase || message.phase === certificate.phase) && certificate.signers.includes(message.sender)).map((message) => message.index);
}

function highlight(g, message, delivery, style = "chosen") {
  const parts = [];
  message.deliveries.forEach((candidate, index) => {
    if ((delivery !== NONE && delivery !== index) || !g.rowOf.has(message.node) || !g.rowOf.has(candidate.to)) return;
    const { x1, y1, x2, y2 } = arrow(g, message, candidate);
    parts.push(svg("line", { class: `halo ${style}`, x1, y1, x2, y2 }));
  });
  return parts;
}

// What is under the pointer: a mark, else the nearest arrow.
function hit(x, y) {
  let best = null, least = 9;
  for (const mark of shown.marks) {
    const distance = Math.hypot(mark.x - x, mark.y - y);
    if (distance < least) [best, least] = [{ type: "step", index: mark.step }, distance];
  }
  if (best) return best;
  const lane = hitLane(x, y);
  least = lane ? 2.5 : 6; // An arrow that crosses a lane must be hit well.
  for (const item of shown.hits) {
    const distance = toSegment(x, y, item);
    if (distance < least) [best, least] = [{ type: "message", index: item.message.index, delivery: item.index }, distance];
  }
  return best ?? lane;
}

// The state of a node at a moment.
function hitLane(x, y) {
  const g = geometry(), at = timeOfX(x), thick = laneThickness(g);
  const node = g.order.find((candidate) => Math.abs(g.y(candidate) - y) <= thick / 2 && run.nodes[candidate].replica !== NONE);
  if (node === undefined || at > endTime) return null;
  const step = stepAtTime(at);
  return stateAt(node, step) ? { type: "state", index: step, delivery: node } : null;
}

function toSegment(x, y, { x1, y1, x2, y2 }) {
  const dx = x2 - x1, dy = y2 - y1, length = dx * dx + dy * dy;
  const share = length ? Math.max(0, Math.min(1, ((x - x1) * dx + (y - y1) * dy) / length)) : 0;
  return Math.hypot(x - x1 - share * dx, y - y1 - share * dy);
}

function tipText(found) {
  if (found.type === "step") return stepText(run.steps[found.index]);
  if (found.type === "state") return `${nodeName(found.delivery)} in round ${stateAt(found.delivery, found.index).round}; click for its state`;
  const message = run.messages[found.index], delivery = message.deliveries[found.delivery];
  const lines = [`${messageText(message)}`, `${nodeName(message.node)} → ${nodeName(delivery.to)}, sent ${seconds(message.at)}`];
  const late = delivery.fate === "in flight" ? "" : ` at ${seconds(delivery.at)}`;
  lines.push(`${FATE_NAMES[delivery.fate]}${late}${delivery.reason ? `: ${delivery.reason}` : ""}`);
  return lines.join("\n");
}

function wireDiagram() {
  const tip = byId("tip");
  let drag = null;
  const point = (event) => {
    const box = diagram.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  diagram.addEventListener("pointerdown", (event) => {
    if (event.button || point(event)[0] < GUTTER) return;
    drag = { x: event.clientX, start: view.start, end: view.end, moved: false };
  });
  diagram.addEventListener("pointermove", (event) => {
    const [x, y] = point(event);
    if (drag) {
      if (!drag.moved && Math.abs(event.clientX - drag.x) > 3) {
        drag.moved = true;
        diagram.setPointerCapture(event.pointerId);
        diagram.classList.add("dragging");
      }
      if (drag.moved) {
        const by = ((drag.x - event.clientX) / (diagram.clientWidth - GUTTER)) * (drag.end - drag.start);
        setView(drag.start + by, drag.end + by);
      }
      return;
    }
    const found = x > GUTTER ? hit(x, y) : null;
    tip.hidden = !found;
    diagram.style.cursor = found ? "pointer" : "";
    if (!found) return;
    tip.textContent = tipText(found);
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
  });
  diagram.addEventListener("pointerleave", () => { tip.hidden = true; });
  diagram.addEventListener("pointerup", (event) => {
    const moved = drag && drag.moved;
    if (drag && !moved) {
      const found = hit(...point(event));
      if (found) select(found.type, found.index, found.delivery);
      else if (point(event)[1] > 0) select("moment", stepAtTime(timeOfX(point(event)[0])));
    }
    drag = null;
    diagram.classList.remove("dragging");
  });
  diagram.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan(Math.sign(event.deltaX || event.deltaY) * 0.08);
    else zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, view.start + ((point(event)[0] - GUTTER) / (diagram.clientWidth - GUTTER - 8)) * (view.end - view.start));
  }, { passive: false });
}

function timeOfX(x) {
  return timeAt(view.start + ((x - GUTTER) / (diagram.clientWidth - GUTTER - 8)) * (view.end - view.start));
}

// The last step at or before a time.
function stepAtTime(at) {
  let found = 0;
  for (const step of run.steps) if (step.at <= at) found = step.index;
  return found;
}
