// From time to place: a scale that may shorten idle time, and the part of it in view.

const scale = { shortened: true, times: [0], places: [0], cuts: [], length: 1 };

function buildScale() {
  const times = new Set([0, endTime]);
  for (const step of run.steps) times.add(step.at);
  for (const message of run.messages) times.add(message.at);
  for (const band of run.bands) times.add(band.start).add(band.end);
  const usual = 2.5 * usualFlight;
  scale.times = [...times].sort((a, b) => a - b);
  if (run.window.first_round > 0 && scale.times[0] === 0) scale.times.shift();
  scale.places = [0];
  scale.cuts = [];
  let place = 0;
  for (let index = 1; index < scale.times.length; index++) {
    const gap = scale.times[index] - scale.times[index - 1];
    const shorten = scale.shortened && gap > usual;
    if (shorten && gap > 2 * usual) scale.cuts.push(index);
    place += shorten ? usual * (1 + 0.15 * Math.log2(gap / usual)) : gap;
    scale.places.push(place);
  }
  if (scale.shortened) widenBands();
  scale.length = scale.places[scale.places.length - 1] || 1;
}

// Rounds with a partition or with exceptions to it get room to say so.
function widenBands() {
  const least = 5 * usualFlight;
  for (const band of run.bands) {
    const width = placeOf(band.end) - placeOf(band.start);
    const plain = band.sets.length < 2 && !(band.sets.length && lostInRound.has(band.round));
    if (plain || width <= 0 || width >= least) continue;
    const factor = least / width, start = placeOf(band.start), more = least - width;
    scale.places = scale.places.map((place, index) => (scale.times[index] <= band.start ? place : scale.times[index] >= band.end ? place + more : start + (place - start) * factor));
  }
}

// Between known times the scale is straight.
function interpolate(from, to, value) {
  if (value <= from[0]) return to[0];
  let low = 0, high = from.length - 1;
  if (value >= from[high]) return to[high];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (from[middle] <= value) low = middle;
    else high = middle;
  }
  const span = from[high] - from[low];
  return to[low] + (span ? ((value - from[low]) / span) * (to[high] - to[low]) : 0);
}

const placeOf = (at) => interpolate(scale.times, scale.places, at);
const timeAt = (place) => interpolate(scale.places, scale.times, place);

// What is in view, in places.
const view = { start: 0, end: 1 };

function setView(start, end) {
  const margin = scale.length * 0.02;
  const least = Math.min(scale.length, usualFlight / 4 || scale.length);
  const width = Math.min(Math.max(end - start, least), scale.length + 2 * margin);
  view.start = Math.min(Math.max(start, -margin), scale.length + margin - width);
  view.end = view.start + width;
  requestDraw();
}

function zoom(factor, around = (view.start + view.end) / 2) {
  setView(around - (around - view.start) / factor, around + (view.end - around) / factor);
}

function pan(share) {
  const by = share * (view.end - view.start);
  setView(view.start + by, view.end + by);
}

// Show rounds first to last, with a little room.
function showRounds(first, last) {
  const shown = run.bands.filter((band) => band.round >= first && band.round <= last);
  if (!shown.length) return;
  const start = placeOf(shown[0].start), end = placeOf(shown[shown.length - 1].end);
  const room = (end - start) * 0.03;
  setView(start - room, end + room);
}

function reveal(at) {
  const place = placeOf(at), width = view.end - view.start;
  if (place < view.start + width * 0.04 || place > view.end - width * 0.04) setView(place - width * 0.6, place + width * 0.4);
}
