"use strict";

const WIDTH = 600;
const HEIGHT = 160;
const SPAN = 60_000; // milliseconds that a chart shows
const RETRY = 1000; // milliseconds; the server says the same to the browser

const body = document.body;
const cards = [...document.querySelectorAll(".card")];
const samples = []; // of the last minute, in order
let pointed = null; // where in the charts the pointer is, from 0 to 1
let missed = null; // samples that have arrived since the connection came back
let source = null;

const find = (id) => document.getElementById(id);
const clock = (sample) => new Date(sample.number).toLocaleTimeString();
const newest = () => samples[samples.length - 1];

// The connection. The browser reconnects by itself, says by its Last-Event-ID what it saw last, and
// gets what it missed. Only after an answer that is no stream, as a proxy's 502, it gives up: then
// we try again, with the number in the query.

function connect() {
  const seen = newest()?.number ?? 0;
  source = new EventSource(`${body.dataset.events}?seen=${seen}`);
  source.addEventListener("open", opened);
  source.addEventListener("error", failed);
  source.addEventListener("sample", (event) => take(JSON.parse(event.data)));
}

function show(state, text) {
  const status = find("status");
  status.dataset.state = state;
  status.textContent = text;
}

function opened() {
  missed = samples.length ? 0 : null;
  show("live", "live");
}

function failed() {
  const since = newest() ? `, last heard at ${clock(newest())}` : "";
  show("reconnecting", `reconnecting…${since}`);
  if (source.readyState === EventSource.CLOSED) {
    setTimeout(connect, RETRY);
  }
}

// The figures.

function take(sample) {
  const last = newest();
  if (last && sample.number <= last.number) {
    return;
  }
  samples.push(sample);
  while (samples[0].number < sample.number - SPAN) {
    samples.shift();
  }
  if (missed !== null) {
    caughtUp(sample);
  }
  requestAnimationFrame(draw);
}

function caughtUp(sample) {
  missed += 1;
  if (sample.number > Date.now() - 2000) { // this one is news again
    find("caught-up").textContent = ` · back, with ${missed} samples that were missed`;
    missed = null;
  }
}

const x = (sample) => WIDTH - ((newest().number - sample.number) / SPAN) * WIDTH;

function draw() {
  const index = pointed === null ? samples.length - 1 : nearest(pointed * WIDTH);
  const shown = samples[index];
  for (const card of cards) {
    drawCard(card, shown);
  }
  find("when").textContent = pointed === null ? `Sampled at ${clock(shown)}` : `At ${clock(shown)}`;
  const { viewers } = shown;
  find("viewers").textContent = ` · ${viewers} ${viewers === 1 ? "viewer" : "viewers"}`;
}

function nearest(position) {
  const distances = samples.map((sample) => Math.abs(x(sample) - position));
  return distances.indexOf(Math.min(...distances));
}

function drawCard(card, shown) {
  const { key } = card.dataset;
  const highest = Math.max(...samples.map((sample) => sample[key]));
  const y = (sample) => HEIGHT - (sample[key] / ceiling(highest)) * (HEIGHT - 6) - 2;
  const points = samples.map((sample) => `${x(sample).toFixed(1)} ${y(sample).toFixed(1)}`);
  const set = (name, path) => card.querySelector(name).setAttribute("d", path);
  set(".line", `M${points.join("L")}`);
  set(".area", `M${x(samples[0])} ${HEIGHT}L${points.join("L")}L${WIDTH} ${HEIGHT}Z`);
  set(".cross", pointed === null ? "" : `M${x(shown)} 0V${HEIGHT}`);
  const text = shown[key].toLocaleString();
  card.querySelector(".value").textContent = text;
  card.querySelector(".highest").textContent = highest.toLocaleString();
  const title = card.querySelector("h2").textContent;
  const unit = card.querySelector(".unit").textContent;
  card.querySelector("svg").setAttribute(
    "aria-label",
    `${title} over the last minute: now ${text} ${unit}, highest ${highest.toLocaleString()}`,
  );
}

// The top of a chart: the next of 1, 2, 5, 10, 20, 50, ...
function ceiling(highest) {
  const power = 10 ** Math.floor(Math.log10(Math.max(highest, 1)));
  return [1, 2, 5, 10].find((step) => step * power >= highest) * power;
}

for (const chart of document.querySelectorAll("svg")) {
  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect();
    pointed = samples.length ? (event.clientX - box.left) / box.width : null;
    requestAnimationFrame(() => samples.length && draw());
  });
  chart.addEventListener("pointerleave", () => {
    pointed = null;
    requestAnimationFrame(() => samples.length && draw());
  });
}

// Something to see.

async function work() {
  const button = find("work");
  button.disabled = true;
  const requests = Array.from({ length: 60 }, () => fetch(body.dataset.work, { method: "POST" }));
  await Promise.allSettled(requests);
  button.disabled = false;
}

find("work").addEventListener("click", work);
connect();
