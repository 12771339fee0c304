// Wires the page to the API. It keeps nothing: a key is forgotten when the page is closed.

import { Api, CutOff } from "./api.js";
import { budgetOf, threeBudgets } from "./budgets.js";
import { element } from "./dom.js";
import { frontierFigure } from "./frontier.js";
import { Histories } from "./histories.js";
import { Metrics } from "./metrics.js";
import { shown } from "./numbers.js";
import { Run } from "./run.js";

const $ = (id) => document.getElementById(id);
// What shows something of the tenant's or the server's; the histories are cleared by themselves.
const FILLED = ["server", "strategy", "weight-value", "router", "frontier", "runs", "confirm-title"];
const state = { api: new Api(), info: null, running: null, runs: 0 };

// The models take many seconds to load, and the page is served before.
const AGAIN_MS = 2000;

const say = (text) => { $("status").textContent = text; };

async function telling(work) {
  $("failure").textContent = "";
  try {
    await work();
  } catch (error) {
    if (error.name === "AbortError") return;
    say("");
    $("failure").textContent = error.message;
  }
}

const histories = new Histories({ $, api: () => state.api, say, telling });
const metrics = new Metrics($("metrics-box"), $("metrics"), () => state.api.metrics());

// Nothing of the tenant before is left, also where the credential of the next is refused.
function enter(api) {
  state.api.close();
  Object.assign(state, { api, info: null });
  for (const id of FILLED) $(id).replaceChildren();
  $("runs-box").hidden = true;
  histories.forget();
  metrics.restart();
}

// Asks until the server serves, or its API is closed. What it says meanwhile is announced once, not at every attempt.
async function infoOf(api) {
  for (let told; ; await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))) {
    try {
      return await api.info();
    } catch (error) {
      if (error.status !== 503) throw error;
      if (error.message !== told) say(`${error.message}. This page waits for it.`);
      told = error.message;
    }
  }
}

async function load() {
  say("Loading");
  state.info = await infoOf(state.api);
  const { profile, about, version, strategies } = state.info;
  $("server").textContent = `${profile}: ${about} (${version})`;
  $("strategy").replaceChildren(...strategies.map(({ name }) => element("option", { value: name }, name)));
  $("strategy").value = (strategies.find(({ name }) => name in state.info.costWeights) ?? strategies[0]).name;
  showStrategy();
  await histories.load();
  say(histories.chosen === null ? `${histories.all.length} histories` : `${histories.chosen} is chosen`);
}

const weights = () => state.info?.costWeights?.[$("strategy").value];

function showStrategy() {
  const { min, max } = weights() ?? { min: 0, max: 0 };
  Object.assign($("weight"), { min, max, value: min, disabled: !weights() });
  showWeight();
}

function showWeight() {
  if (state.info === null) return;
  const strategy = $("strategy").value;
  const frontier = state.info.frontiers?.[strategy];
  const value = weights() ? shown($("weight").value) : "fixed";
  $("weight-value").textContent = value;
  $("weight").setAttribute("aria-valuetext", value);
  $("router").textContent = `Router ${state.info.routers[strategy] ?? state.info.router}${weights() ? "" : ": it weighs nothing, so λ has no effect"}.`;
  const opened = $("frontier").querySelector("details")?.open;
  $("frontier").replaceChildren(...(frontier ? frontierFigure(frontier, Number($("weight").value)) : [element("figcaption", { class: "quiet" }, "This router tells nothing of how it was measured.")]));
  if (opened) $("frontier").querySelector("details").open = true;
}

const newRun = (name) => new Run($("runs"), name, (state.runs += 1), state.info?.modules);

async function run(shownRun, work) {
  shownRun.begun();
  try {
    await work(shownRun);
  } catch (error) {
    shownRun.failed(error.name === "AbortError" ? "Stopped." : error.message);
    throw error;
  }
}

// `events` are asked for when they are read.
async function extract(shownRun, events) {
  await run(shownRun, async () => {
    let ended = false;
    for await (const event of events) {
      const [[kind, value]] = Object.entries(event);
      ended ||= kind === "memory";
      // A newer server may tell of more than this page knows.
      shownRun[kind]?.(value);
      if (kind === "moduleDone") say(`${shownRun.name}: ${value.step.module} is done`);
    }
    if (!ended) throw new CutOff();
  });
}

const ACTIONS = {
  extract: ({ api, history, signal }, body) => extract(newRun("Extraction"), api.extract(history, body, signal)),
  answer: ({ api, history, signal }, body) => run(newRun("Answer"), async (shownRun) => shownRun.answer(await api.answer(history, body, signal))),
  // One after the other: at once they would wait for each other, and their milliseconds would tell of that.
  compare: async ({ api, history, signal }, body) => {
    const three = threeBudgets(weights(), body.budget).map(({ name, budget }) => [newRun(name), api.extract(history, { ...body, budget }, signal)]);
    const faults = [];
    for (const [shownRun, events] of three) await extract(shownRun, events).catch((error) => faults.push(error));
    if (faults.length > 0) throw faults[0];
  },
};

async function ask(action) {
  if (histories.chosen === null) throw new Error("Choose a history first.");
  state.running?.abort();
  const running = new AbortController();
  state.running = running;
  $("runs-box").hidden = false;
  $("runs").replaceChildren();
  $("stop").disabled = false;
  const budget = budgetOf({ weight: weights() ? $("weight").value : "", usd: $("usd").value, ms: $("ms").value });
  say("Running");
  try {
    // The same tenant's same history to the end, whatever is chosen meanwhile.
    const asked = { api: state.api, history: histories.chosen, signal: running.signal };
    await ACTIONS[action](asked, { query: $("question").value, strategy: $("strategy").value, budget });
    say("Done");
  } finally {
    if (state.running === running) {
      const loses = document.activeElement === $("stop");
      $("stop").disabled = true;
      if (loses) $("question").focus();
    }
  }
}

$("identity").addEventListener("submit", (event) => {
  event.preventDefault();
  enter(new Api({ key: $("key").value, tenant: $("tenant").value }));
  telling(load);
});
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  telling(() => ask(event.submitter?.value || "extract"));
});
$("strategy").addEventListener("change", showStrategy);
$("weight").addEventListener("input", showWeight);
$("stop").addEventListener("click", () => {
  state.running?.abort();
  say("Stopped");
});
telling(load);
