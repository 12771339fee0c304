// The few numbers of the whole server that people watch, and when to ask for them.

import { element } from "./dom.js";
import { count, shown } from "./numbers.js";

const EVERY_MS = 2000;
const BREAKERS = ["closed", "half open", "open"];

const sum = (samples, name, chosen = () => true) => samples
  .filter((each) => each.name === `budgetmem_${name}` && chosen(each.labels))
  .reduce((total, each) => total + each.value, 0);

// A label, a value and a note each; `before` are the samples of the last time, if any.
export function summary(samples, before = samples) {
  const since = (name) => sum(samples, name) - sum(before, name);
  const waited = since("queue_delay_seconds_count");
  const delay = waited > 0 ? `${shown((since("queue_delay_seconds_sum") / waited) * 1000)} ms on average just now` : "none waited just now";
  const failed = sum(samples, "requests_total", ({ code }) => code !== "OK");
  const breakers = samples.filter(({ name }) => name === "budgetmem_breaker_state");
  const open = breakers.filter(({ value }) => value > 0).map(({ labels, value }) => `${labels.backbone} ${BREAKERS[value]}`);
  return [
    ["Calls", count(sum(samples, "requests_total")), `${count(failed)} not OK, ${count(sum(samples, "requests_in_flight"))} in flight`],
    ["Tokens", count(sum(samples, "tokens_total")), `${count(sum(samples, "tokens_total", ({ direction }) => direction === "output"))} of them written`],
    ["USD", shown(sum(samples, "cost_usd_total")), "by receipts"],
    ["Waiting", count(sum(samples, "queue_depth")), delay],
    ["Cache hits", count(sum(samples, "cache_hits_total")), "embeddings and annotations remembered"],
    ["Fallbacks", count(sum(samples, "fallbacks_total")), "rungs given up for a lower one"],
    ["Breakers", breakers.length === 0 ? "none" : open.length === 0 ? "all closed" : `${open.length} not closed`, open.join(", ") || `${breakers.length} models watched`],
  ];
}

// Asks while its box is open and the page is looked at; a refusal ends it until the box is opened again, a fault does not.
export class Metrics {
  constructor(box, place, ask) {
    Object.assign(this, { box, place, ask, last: undefined, timer: undefined });
    box.addEventListener("toggle", () => this.restart());
    document.addEventListener("visibilitychange", () => this.restart());
  }

  restart() {
    clearTimeout(this.timer);
    this.place.replaceChildren();
    this.last = { tiles: [] };
    if (this.box.open && !document.hidden) this.#look(this.last);
  }

  // `last` is what was read last; there is another one when it begins anew, and what comes late is not shown.
  async #look(last) {
    const told = await this.ask().catch((error) => ({ error }));
    if (this.last !== last) return;
    if (told.error) this.place.replaceChildren(fault(told.error, last), ...last.tiles);
    else this.#show(told.samples, last);
    if (!told.error?.refused) this.timer = setTimeout(() => this.#look(last), EVERY_MS);
  }

  #show(samples, last) {
    const tiles = summary(samples, last.samples).map(tile);
    this.place.replaceChildren(...tiles);
    Object.assign(last, { samples, tiles, time: new Date().toLocaleTimeString() });
  }
}

const tile = ([label, value, note]) => element(
  "div", { class: "tile" }, element("dt", {}, label), element("dd", {}, element("strong", {}, value), element("span", { class: "quiet" }, note)),
);

function fault(error, { time }) {
  const old = time ? [element("dd", {}, `The rest was read at ${time}.`)] : [];
  return element("div", {}, element("dt", {}, "Not to be had"), element("dd", { class: "wrong" }, error.message), ...old);
}
