// Replay: the moment shown, step by step.

const replay = { step: Math.max(0, run.steps.length - 1), timer: null };

function goTo(step, follow) {
  replay.step = Math.max(0, Math.min(run.steps.length - 1, step));
  if (!["block", "certificate", "state"].includes(selection.type)) Object.assign(selection, { type: "step", index: replay.step, delivery: NONE });
  const now = run.steps[replay.step];
  byId("slider").value = replay.step;
  byId("slider").setAttribute("aria-valuetext", now ? stepText(now) : "");
  byId("now").textContent = now ? `${replay.step + 1}/${run.steps.length} · ${seconds(now.at)} · ${stepText(now)}` : "no steps";
  byId("now").title = now ? stepText(now) : "";
  if (now && follow) reveal(now.at);
  drawTree();
  if (follow) {
    const block = newestBlock();
    if (block !== NONE && selection.type !== "block") revealBlock(block);
  }
  drawCursor();
  if (tab === "state" || tab === "details") drawPanel();
}

function stepBy(by) {
  stop();
  if (selection.type !== "step") selection.type = "step";
  goTo(replay.step + by, true);
}

// To the step at which the run first reaches the next round, or the round before.
function roundBy(by) {
  stop();
  selection.type = "step";
  const wanted = roundAtStep[replay.step] + by;
  let target = by > 0 ? run.steps.length - 1 : 0;
  for (let step = 0; step < roundAtStep.length; step++)
    if (roundAtStep[step] >= wanted) {
      target = step;
      break;
    }
  if (by < 0 && roundAtStep[target] === roundAtStep[replay.step]) target = 0;
  goTo(target, true);
}

function play() {
  if (replay.timer !== null) return stop();
  if (replay.step >= run.steps.length - 1) goTo(0, true);
  selection.type = "step";
  byId("play").textContent = "Pause";
  const next = () => {
    if (replay.step >= run.steps.length - 1) return stop();
    goTo(replay.step + 1, true);
    replay.timer = setTimeout(next, Number(byId("speed").value));
  };
  replay.timer = setTimeout(next, Number(byId("speed").value));
}

function stop() {
  if (replay.timer !== null) clearTimeout(replay.timer);
  replay.timer = null;
  byId("play").textContent = "Play";
}

// Above the slider: where commits, timeouts, faults and violations are.
function drawOverview() {
  const overview = byId("overview");
  overview.setAttribute("viewBox", `0 0 1000 14`);
  overview.setAttribute("preserveAspectRatio", "none");
  const marks = new Map();
  const last = Math.max(1, run.steps.length - 1);
  const mark = (step, level, style) => {
    const key = `${Math.round((step / last) * 500)} ${style}`;
    if (!marks.has(key)) marks.set(key, svg("rect", { class: style, x: 6 + (step / last) * 986, y: level, width: 2, height: level === 0 ? 14 : 4 }));
  };
  for (const step of run.steps) {
    if (step.kind === "violated") mark(step.index, 0, "f-bad");
    else if (step.kind === "crashed" || step.kind === "set_attribute" || (step.kind === "partitioned" && step.sets.length > 1)) mark(step.index, 5, "f-bad");
    if (step.kind === "fired" && step.text === "round") mark(step.index, 5, "f-timeout");
    if (step.commits.length) mark(step.index, 10, "f-vote");
  }
  overview.replaceChildren(...marks.values());
}

function wireReplay() {
  const slider = byId("slider");
  slider.max = Math.max(0, run.steps.length - 1);
  slider.addEventListener("input", () => {
    stop();
    selection.type = "step";
    goTo(Number(slider.value), true);
  });
  byId("step-back").addEventListener("click", () => stepBy(-1));
  byId("step-on").addEventListener("click", () => stepBy(1));
  byId("round-back").addEventListener("click", () => roundBy(-1));
  byId("round-on").addEventListener("click", () => roundBy(1));
  byId("play").addEventListener("click", play);
}
