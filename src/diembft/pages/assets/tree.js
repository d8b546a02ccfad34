// The block tree: a column for each round that has a block, a row for each branch. Only what is in view is drawn.

const tree = byId("tree");
const treeScroll = byId("tree-scroll");
const treeState = { node: NONE };
const PIPS = Math.max(run.n, replicaNodes.length);
const PIP = PIPS <= 9 ? 15 : 8;
const BOX = { width: Math.max(92, 30 + PIPS * PIP), height: 54, across: 0, down: 82, left: 14, top: 10 };
BOX.across = BOX.width + 30;

const boxX = (block) => BOX.left + block.column * BOX.across;
const boxY = (block) => BOX.top + block.row * BOX.down;

function drawTree() {
  const columns = 1 + Math.max(0, ...run.blocks.map((block) => block.column));
  const rows = 1 + Math.max(0, ...run.blocks.map((block) => block.row));
  tree.setAttribute("width", BOX.left + columns * BOX.across);
  tree.setAttribute("height", BOX.top + rows * BOX.down);
  const from = treeScroll.scrollLeft - BOX.across, to = treeScroll.scrollLeft + treeScroll.clientWidth + BOX.across;
  const edges = svg("g"), boxes = svg("g");
  const flags = highFlags();
  run.blocks.forEach((block, index) => {
    const x = boxX(block);
    const parent = block.parent === NONE ? null : run.blocks[block.parent];
    if (parent && parent.children.includes(index) && x >= from && boxX(parent) <= to) edges.append(drawEdge(block, parent));
    if (x >= from - BOX.width && x <= to) boxes.append(drawBox(block, index, flags.get(index) ?? []));
  });
  tree.replaceChildren(edges, boxes);
}

const isKnown = (block) => block.round === 0 || knownStep(block, treeState.node) <= replay.step || block.certificates.some((index) => knownStep(run.certificates[index], treeState.node) <= replay.step);

function drawEdge(block, parent) {
  const x1 = boxX(parent) + BOX.width, y1 = boxY(parent) + 27, x2 = boxX(block), y2 = boxY(block) + 27;
  return svg("path", {
    class: `edge${isKnown(block) ? "" : " ghost"}${sideOf(run.blocks.indexOf(block)) === NONE ? "" : ` s${sideOf(run.blocks.indexOf(block))}`}`,
    d: y1 === y2 ? `M${x1} ${y1}H${x2}` : `M${x1} ${y1}C${x1 + 16} ${y1} ${x1 + 12} ${y2} ${x1 + 28} ${y2}H${x2}`,
  });
}

// For each block the nodes whose highest certificate certifies it at this moment.
function highFlags() {
  const flags = new Map();
  for (const node of treeState.node === NONE ? replicaNodes : [treeState.node]) {
    const state = stateAt(node, replay.step);
    if (!state || state.high === NONE) continue;
    const block = run.certificates[state.high].block;
    if (!flags.has(block)) flags.set(block, []);
    flags.get(block).push(node);
  }
  return flags;
}

// The certificates of a block that are known at this moment, with all their signers.
function signersNow(block) {
  const known = block.certificates.filter((index) => knownStep(run.certificates[index], treeState.node) <= replay.step);
  return { count: known.length, signers: new Set(known.flatMap((index) => run.certificates[index].signers)) };
}

function committersNow(block) {
  const looked = treeState.node === NONE ? replicaNodes : [treeState.node];
  return looked.filter((node) => block.committed[node] !== NONE && block.committed[node] <= replay.step);
}

function drawBox(block, index, flagged) {
  const x = boxX(block), y = boxY(block), known = isKnown(block);
  const { count, signers } = signersNow(block), committers = committersNow(block);
  const side = sideOf(index), conflicting = shownStory && shownStory.sides.some((candidate) => candidate.block === index);
  const style = ["box", count || block.round === 0 ? "" : "uncertified", committers.length ? "committed" : "", side === NONE ? "" : `side${side}b`,
    selection.type === "block" && selection.index === index ? "selected" : ""].filter(Boolean).join(" ");
  const group = svg("g", {
    class: `block${known ? "" : " ghost"}`, role: "button", tabindex: 0, "data-block": index, "aria-label": blockSummary(block, signers, committers),
    onclick: () => select("block", index),
    onkeydown: (event) => { if (event.key === "Enter") { event.stopPropagation(); select("block", index); } },
  },
  svg("title", {}, blockSummary(block, signers, committers)),
  svg("rect", { class: style, x, y, width: BOX.width, height: BOX.height, rx: 6 }),
  block.round === 0 ? text(x + BOX.width / 2, y + 31, block.name, "bold", "middle") : text(x + 7, y + 15, `${side === NONE ? "" : `${SIDE_SIGNS[side]} `}${block.name}`, "bold"),
  text(x + BOX.width - 6, y + 15, block.author === NONE ? "" : `by ${replicaShort(block.author)}`, "small soft", "end"));
  if (block.round > 0) {
    group.append(text(x + 7, y + 32, "✎", "small soft"), pips(x + 27, y + 22, run.n, (replica) => ({
      on: signers.has(replica), style: signers.has(replica) ? (side !== NONE && bothSigners.has(replica) ? "both" : "signed") : "", label: replicaShort(replica),
    })));
    group.append(text(x + 9, y + 48, "◆", "small soft"), pips(x + 27, y + 38, replicaNodes.length, (position) => {
      const on = committers.includes(replicaNodes[position]);
      return { on, style: on ? "committed" : "", label: run.nodes[replicaNodes[position]].short };
    }));
  }
  if (conflicting) group.append(text(x + BOX.width / 2, y + BOX.height + 11, "✖ conflict", "small conflict", "middle"));
  else if (flagged.length) group.append(text(x + 4, y + BOX.height + 11, `highest of ${flagged.length === replicaNodes.length ? "all" : setText(flagged)}`, "small soft"));
  return group;
}

function pips(x, y, count, describe) {
  const group = svg("g");
  for (let position = 0; position < count; position++) {
    const { on, style, label } = describe(position);
    const left = x + position * PIP;
    group.append(svg("rect", { class: `pip ${style}`, x: left, y, width: PIP - 2, height: 13, rx: 2 }));
    if (PIP > 10) group.append(text(left + (PIP - 2) / 2, y + 10, clip(label, 2), `pip-text${on ? " on" : ""}`, "middle"));
  }
  return group;
}

function blockSummary(block, signers, committers) {
  if (block.round === 0) return "genesis";
  const parts = [`${block.name}, round ${block.round}` + (block.author === NONE ? "" : `, by ${replicaName(block.author)}`)];
  parts.push(signers.size ? `certified by ${[...signers].map(replicaName).join(", ")}` : "not certified");
  parts.push(committers.length ? `committed by ${names(committers)}` : "not committed");
  return parts.join("\n");
}

// The first view: the tree from a block on, at once.
function beginTreeAt(index) {
  treeScroll.scrollTo({ left: boxX(run.blocks[index]) - BOX.left, top: 0, behavior: "instant" });
}

// Scroll to a block, if it is not in view.
function revealBlock(index) {
  const block = run.blocks[index];
  const left = boxX(block), top = boxY(block);
  if (left < treeScroll.scrollLeft || left + BOX.width > treeScroll.scrollLeft + treeScroll.clientWidth) treeScroll.scrollLeft = left - treeScroll.clientWidth / 2;
  if (top < treeScroll.scrollTop || top + BOX.height > treeScroll.scrollTop + treeScroll.clientHeight) treeScroll.scrollTop = top - 20;
}

// The newest block known at this moment.
function newestBlock() {
  let newest = NONE;
  run.blocks.forEach((block, index) => {
    if (isKnown(block) && (newest === NONE || block.round > run.blocks[newest].round)) newest = index;
  });
  return newest;
}

function wireTree() {
  const chooser = byId("tree-node");
  chooser.append(el("option", { value: NONE }, "all together"), ...replicaNodes.map((node) => el("option", { value: node }, nodeName(node))));
  chooser.addEventListener("change", () => {
    treeState.node = Number(chooser.value);
    drawTree();
  });
  byId("tree-key").textContent = "✎: who signed its certificate · ◆: who committed · dashed: not certified";
  treeScroll.addEventListener("scroll", () => requestAnimationFrame(drawTree));
}
