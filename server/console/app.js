// Wires the page to the API. It keeps nothing: a key is forgotten when the page is closed.

import { Api } from "./api.js";
import { budgetOf, shown, threeBudgets } from "./budgets.js";
import { Run, element, historyButton, turnItem } from "./view.js";

const MOST_TURNS = 500;
const $ = (id) => document.getElementById(id);
const state = { api: new Api(), info: null, history: null, histories: [], running: null, runs: 0 };

const say = (text) => { $("status").textContent = text; };

async function telling(work) {
  $("failure").textContent = "";
  try {
    await work();
  } catch (error) {
    if (error.name !== "AbortError") $("failure").textContent = error.message;
  }
}

async function load() {
  state.info = await state.api.info();
  $("server").textContent = `${state.info.profile}: ${state.info.about} (${state.info.version})`;
  $("strategy").replaceChildren(...state.info.strategies.map(({ name }) => element("option", { value: name }, name)));
  state.histories = (await state.api.histories()).histories;
  showWeights();
  showHistories();
  say(`${state.histories.length} histories`);
}

const weights = () => state.info?.costWeights?.[$("strategy").value];

function showWeights() {
  const { min, max } = weights() ?? { min: 0, max: 0 };
  Object.assign($("weight"), { min, max, value: min, disabled: !weights() });
  showWeight();
}

function showWeight() {
  $("weight-value").textContent = weights() ? shown($("weight").value) : "this strategy's router weighs nothing";
}

function showHistories() {
  $("histories").replaceChildren(...state.histories.map((each) => historyButton(each, each.name === state.history, () => telling(() => choose(each.name)))));
}

async function choose(name) {
  state.history = name;
  showHistories();
  $("turns-box").hidden = false;
  $("turns").replaceChildren();
  for await (const { turn } of state.api.turns(name)) {
    if (state.history !== name || $("turns").childElementCount === MOST_TURNS) break;
    $("turns").append(turnItem(turn));
  }
  say(`${name} is chosen`);
}

async function run(name, work) {
  const shownRun = new Run($("runs"), name, (state.runs += 1));
  try {
    await work(shownRun);
  } catch (error) {
    shownRun.failed(error.message);
    throw error;
  }
}

async function extract(name, body, signal) {
  await run(name, async (shownRun) => {
    for await (const event of state.api.extract(state.history, body, signal)) {
      const [[kind, value]] = Object.entries(event);
      // A newer server may tell of more than this page knows.
      shownRun[kind]?.(value);
      if (kind === "moduleDone") say(`${name}: ${value.step.module} is done`);
    }
  });
}

const ACTIONS = {
  extract: (body, signal) => extract("Extraction", body, signal),
  answer: (body, signal) => run("Answer", async (shownRun) => shownRun.answer(await state.api.answer(state.history, body, signal))),
  compare: async (body, signal) => {
    const three = threeBudgets(weights(), body.budget);
    const ended = await Promise.allSettled(three.map(({ name, budget }) => extract(name, { ...body, budget }, signal)));
    const failed = ended.find(({ status }) => status === "rejected");
    if (failed) throw failed.reason;
  },
};

async function ask(action) {
  if (state.history === null) throw new Error("Choose a history first.");
  state.running?.abort();
  const running = new AbortController();
  state.running = running;
  $("runs").replaceChildren();
  $("stop").disabled = false;
  const budget = budgetOf({ weight: weights() ? $("weight").value : "", usd: $("usd").value, ms: $("ms").value });
  say("Running");
  try {
    await ACTIONS[action]({ query: $("question").value, strategy: $("strategy").value, budget }, running.signal);
    say("Done");
  } finally {
    if (state.running === running) $("stop").disabled = true;
  }
}

$("identity").addEventListener("submit", (event) => {
  event.preventDefault();
  state.api = new Api({ key: $("key").value, tenant: $("tenant").value });
  state.history = null;
  $("turns-box").hidden = true;
  telling(load);
});
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  telling(() => ask(event.submitter?.value || "extract"));
});
$("strategy").addEventListener("change", showWeights);
$("weight").addEventListener("input", showWeight);
$("stop").addEventListener("click", () => {
  state.running?.abort();
  say("Stopped");
});
telling(load);
