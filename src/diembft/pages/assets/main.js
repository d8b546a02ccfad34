// Putting the page together: what stands at the top, the filters, the keys, the first view.

const KEYS = [
  ["← →", "one step back or on"], ["Shift ← →", "one round back or on"], ["Home End", "first and last step"], ["Space", "play or pause"],
  ["+ −", "zoom"], ["0", "show all"], [", .", "move to earlier or later"], ["n p", "next or previous message in view"], ["s", "idle time shortened or to scale"],
  ["1 2 3 4", "the panels at the side"], ["t", "dark or light"], ["?", "these keys"],
];

// The first round shown; round 0 is genesis alone, which takes no time.
const firstRound = () => (run.bands.length ? run.bands[0].round : run.window.first_round);

function setTop() {
  byId("title").textContent = run.title;
  byId("title").title = run.title;
  const verdict = byId("verdict");
  if (run.stories.some((one) => one.violation)) {
    const properties = [...new Set(run.stories.map((one) => one.property))];
    verdict.textContent = `✖ ${properties.slice(0, 2).join(", ")}${properties.length > 2 ? ` and ${properties.length - 2} more` : ""} violated`;
    verdict.title = properties.join(", ");
    verdict.classList.add("bad");
  } else if (run.passed !== null) {
    verdict.textContent = run.passed ? "✓ passed" : "✖ failed";
    verdict.classList.add(run.passed ? "good" : "bad");
  } else verdict.hidden = true;
  const part = run.window;
  byId("facts").textContent = `${run.n} replica${run.n === 1 ? "" : "s"}${replicaNodes.length > run.n ? ` + ${replicaNodes.length - run.n} twin${replicaNodes.length > run.n + 1 ? "s" : ""}` : ""} · rounds ${firstRound()}–${part.last_round}${part.whole ? "" : ` of ${part.all_rounds}`} · ${seconds(endTime)}`;
}

function chip(label, sample, pressed, toggle, attributes = {}) {
  return el("button", {
    type: "button", class: "chip", "aria-pressed": String(pressed), ...attributes,
    onclick: (event) => {
      const now = toggle();
      event.currentTarget.setAttribute("aria-pressed", String(now));
      requestDraw();
    },
  }, sample, label);
}

function setTools() {
  const present = new Set(run.messages.map((message) => message.family));
  const kinds = byId("kinds");
  for (const [family, { name }] of Object.entries(FAMILIES)) {
    if (!present.has(family)) {
      if (family === "client") filter.families.delete(family);
      continue;
    }
    if (family === "client") filter.families.delete(family);
    const sample = svg("svg", { viewBox: "0 0 24 8", "aria-hidden": "true" }, svg("line", { class: `k-${family}`, x1: 0, y1: 4, x2: 18, y2: 4 }), svg("path", { class: `f-${family}`, d: "M17 1L24 4L17 7Z" }));
    kinds.append(chip(name, sample, filter.families.has(family), () => toggleIn(filter.families, family), { "data-family": family }));
  }
  const lost = svg("svg", { viewBox: "0 0 24 8", "aria-hidden": "true" }, svg("line", { class: "plain-line", x1: 0, y1: 4, x2: 14, y2: 4 }), cross(18, 4, 3, "fate"));
  kinds.append(chip("Lost", lost, filter.lost, () => (filter.lost = !filter.lost), { "data-family": "lost" }));
  const timer = svg("svg", { viewBox: "0 0 24 8", "aria-hidden": "true" }, svg("line", { class: "timer-line", x1: 0, y1: 4, x2: 24, y2: 4 }));
  kinds.append(chip("Timers", timer, filter.timers, () => (filter.timers = !filter.timers), { "data-family": "timers" }));
  const first = byId("first-round"), last = byId("last-round");
  first.value = filter.first = firstRound();
  last.value = filter.last = run.window.last_round;
  for (const input of [first, last]) input.style.width = `${Math.max(6, last.value.length + 4)}ch`;
  const change = () => showOnly(first.value === "" ? 0 : Number(first.value), last.value === "" ? Infinity : Number(last.value));
  first.addEventListener("change", change);
  last.addEventListener("change", change);
  nameSides();
  byId("story-focus").addEventListener("change", (event) => {
    filter.story = event.target.checked;
    requestDraw();
  });
  byId("zoom-in").addEventListener("click", () => zoom(1.5));
  byId("zoom-out").addEventListener("click", () => zoom(1 / 1.5));
  byId("zoom-fit").addEventListener("click", showAll);
  byId("scale").addEventListener("click", toggleScale);
  nameScale();
}

// Show messages of rounds first to last alone, and these rounds.
function showOnly(first, last) {
  filter.first = first;
  filter.last = last;
  showRounds(first, last);
  requestDraw();
}

// Which colour stands for which side of the conflict.
function nameSides() {
  byId("story-focus-group").hidden = !shownStory || !shownStory.sides.length;
  byId("story-focus").checked = filter.story;
  byId("story-key").replaceChildren(...(shownStory ? shownStory.sides : []).map((side, index) => el("span", { class: "group" },
    svg("svg", { class: "sample", viewBox: "0 0 24 8", "aria-hidden": "true" }, svg("line", { class: `k-proposal s${index % 4}`, x1: 0, y1: 4, x2: 18, y2: 4 }), svg("path", { class: `fs${index % 4}`, d: "M17 1L24 4L17 7Z" })),
    `${SIDE_SIGNS[index % 4]} ${blockName(side.block)}`)));
}

function toggleIn(set, value) {
  if (set.delete(value)) return false;
  set.add(value);
  return true;
}

const nameScale = () => { byId("scale").textContent = scale.shortened ? "Time shortened" : "Time to scale"; };

function toggleScale() {
  const start = timeAt(view.start), end = timeAt(view.end);
  scale.shortened = !scale.shortened;
  buildScale();
  nameScale();
  setView(placeOf(start), placeOf(end));
}

const showAll = () => setView(-scale.length, 2 * scale.length);

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  byId("theme").textContent = dark ? "Light" : "Dark";
}

const toggleTheme = () => setTheme(document.documentElement.dataset.theme !== "dark");

function showKeys() {
  const dialog = byId("keys");
  dialog.replaceChildren(el("h2", {}, "Keys"), el("table", {}, el("tbody", {}, KEYS.map(([key, what]) => el("tr", {}, el("td", {}, key.split(" ").map((one) => [el("kbd", {}, one), " "])), el("td", {}, what))))),
    el("p", { class: "soft" }, "Click a message, a mark, a lane (for the state of its node) or a block for its content; click a lane's name to see only its messages; drag to move, turn the wheel to zoom. Tab reaches every control."),
    el("button", { type: "button", onclick: () => dialog.close() }, "Close"));
  dialog.showModal();
}

// The next or previous message in view, in the order of sending.
function nextMessage(by) {
  const inView = shown.hits.filter((item) => item.x1 >= GUTTER && item.x1 <= diagram.clientWidth);
  if (!inView.length) return;
  const at = inView.findIndex((item) => selection.type === "message" && item.message.index === selection.index && (selection.delivery === NONE || item.index === selection.delivery));
  const next = inView[at === -1 ? (by > 0 ? 0 : inView.length - 1) : (at + by + inView.length) % inView.length];
  select("message", next.message.index, next.index);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("keys").open) return;
  const target = event.target;
  const typing = target.matches("select, input[type='number']");
  const pressing = (event.key === " " || event.key === "Enter") && target.matches("button, input[type='checkbox'], [role='button']");
  const scrolling = target.matches("#panel, #tree-scroll") && event.key.startsWith("Arrow");
  if (typing || pressing || scrolling) return;
  const actions = {
    ArrowLeft: () => (event.shiftKey ? roundBy(-1) : stepBy(-1)), ArrowRight: () => (event.shiftKey ? roundBy(1) : stepBy(1)),
    Home: () => stepBy(-run.steps.length), End: () => stepBy(run.steps.length), " ": play, "+": () => zoom(1.5), "=": () => zoom(1.5), "-": () => zoom(1 / 1.5),
    0: showAll, ",": () => pan(-0.25), ".": () => pan(0.25), n: () => nextMessage(1), p: () => nextMessage(-1), s: toggleScale, t: toggleTheme, "?": showKeys,
  };
  const numbered = TABS[Number(event.key) - 1];
  const action = actions[event.key] ?? (numbered ? () => openTab(numbered.id) : null);
  if (!action) return;
  event.preventDefault();
  action();
}

function setTreeHeight(height) {
  const frame = document.querySelector("main");
  frame.style.setProperty("--tree-height", `${Math.max(90, Math.min(frame.clientHeight - 140, height))}px`);
}

// The bar between diagram and tree, by pointer or by arrow keys.
function wireDivider() {
  const divider = byId("divider"), frame = document.querySelector("main");
  divider.addEventListener("pointerdown", (event) => {
    divider.setPointerCapture(event.pointerId);
    divider.onpointermove = (move) => setTreeHeight(frame.getBoundingClientRect().bottom - move.clientY - 4);
  });
  divider.addEventListener("pointerup", () => { divider.onpointermove = null; });
  divider.addEventListener("keydown", (event) => {
    const by = { ArrowUp: 24, ArrowDown: -24 }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    setTreeHeight(byId("tree-section").clientHeight + by);
  });
}

// What the address asks for: #step=80&rounds=3-9&theme=dark, in any combination.
function obeyAddress() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const rounds = /^(\d+)-(\d+)$/.exec(wanted.get("rounds") ?? "");
  if (wanted.has("theme")) setTheme(wanted.get("theme") === "dark");
  if (/^\d+$/.test(wanted.get("step") ?? "")) goTo(Number(wanted.get("step")) - 1, true);
  if (rounds) {
    [byId("first-round").value, byId("last-round").value] = rounds.slice(1);
    showOnly(Number(rounds[1]), Number(rounds[2]));
  }
}

function begin() {
  setTheme(matchMedia("(prefers-color-scheme: dark)").matches);
  setTop();
  setTools();
  buildScale();
  wireDiagram();
  wireTree();
  wireReplay();
  wireDivider();
  byId("theme").addEventListener("click", toggleTheme);
  byId("help").addEventListener("click", showKeys);
  document.addEventListener("keydown", onKey);
  addEventListener("hashchange", obeyAddress);
  new ResizeObserver(() => { requestDraw(); drawTree(); }).observe(byId("diagram-section"));
  const rows = 1 + Math.max(0, ...run.blocks.map((block) => block.row));
  const wanted = document.querySelector("main").clientHeight - 90 - 30 * replicaNodes.length;
  setTreeHeight(Math.min(48 + BOX.down * Math.min(rows, 3), Math.max(48 + BOX.down, wanted)));
  drawOverview();
  drawPanel();
  const { first_round: first } = run.window;
  if (shownStory) {
    showAll();
    showStoryMoment();
    const side = shownStory.sides[0];
    const block = !side ? newestBlock() : shownStory.fork === NONE ? side.block : shownStory.fork;
    if (block !== NONE) beginTreeAt(block);
  } else {
    goTo(run.steps.length - 1, false);
    showAll();
    if (run.bands.length > 12) showRounds(first, first + 8);
  }
  obeyAddress();
  drawDiagram();
  drawTree();
}

begin();
