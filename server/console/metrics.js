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

// Asks while its box is open and the page is looked at; a refusal ends it until the box is opened again.
export class Metrics {
  constructor(box, place, ask) {
    Object.assign(this, { box, place, ask, before: undefined, timer: undefined });
    box.addEventListener("toggle", () => this.restart());
    document.addEventListener("visibilitychange", () => this.restart());
  }

  restart() {
    clearTimeout(this.timer);
    this.before = undefined;
    if (this.box.open && !document.hidden) this.#look();
  }

  async #look() {
    try {
      const { samples } = await this.ask();
      this.place.replaceChildren(...summary(samples, this.before).map(([label, value, note]) => element(
        "div", { class: "tile" }, element("dt", {}, label), element("dd", {}, element("strong", {}, value), element("span", { class: "quiet" }, note)),
      )));
      this.before = samples;
    } catch (error) {
      this.place.replaceChildren(element("div", {}, element("dt", {}, "Not to be had"), element("dd", { class: "wrong" }, error.message)));
      return;
    }
    clearTimeout(this.timer);
    if (this.box.open && !document.hidden) this.timer = setTimeout(() => this.#look(), EVERY_MS);
  }
}
