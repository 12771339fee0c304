// One extraction, as it goes on: chunks, a row for every module, the memory.

import { tierName, TIERS } from "./budgets.js";
import { drawn, element, scrolled, table } from "./dom.js";
import { MICRO_USD, count, micro, shown } from "./numbers.js";

const HEADS = ["Module", "Tier (Low / Mid / High)", "Tokens", MICRO_USD, "ms"];

export class Run {
  constructor(place, name, number, modules = []) {
    this.name = name;
    this.prefix = `run${number}-`;
    this.numbers = new Map();
    this.texts = new Set();
    this.note = element("p", { class: "quiet" }, "Waits for its turn.");
    this.total = element("p", { class: "total" });
    this.result = element("div");
    this.rows = element("tbody");
    this.waiting = new Map(modules.map((module) => [module, element("tr", { class: "waiting" }, element("th", { scope: "row" }, module), element("td", { colspan: "4" }, "waits"))]));
    this.rows.append(...this.waiting.values());
    this.findings = element("ul", { class: "findings" });
    this.chunks = scrolled(`Chunks of ${name}`);
    this.chunksBox = element("details", { open: "" }, element("summary", {}, "Retrieved chunks"), this.chunks);
    place.append(element(
      "article", { "aria-label": name },
      element("h3", {}, name), this.total, this.note,
      element(
        "div", { class: "parts" },
        element("div", {}, scrolled(`Modules of ${name}`, table("Modules", HEADS, this.rows)), this.result),
        element("div", {}, element("h4", {}, "Findings"), this.findings, this.chunksBox),
      ),
    ));
  }

  begun() {
    this.note.textContent = "Running …";
  }

  retrieved({ chunks }) {
    this.numbers = new Map(chunks.map(({ id }, place) => [id, place + 1]));
    this.texts = new Set(chunks.map(({ text }) => text));
    this.chunks.replaceChildren(...chunks.map((chunk) => this.#chunk(chunk)));
  }

  moduleDone({ step, findings }) {
    this.#row(step.module, step.usage, step);
    // Whole chunks need not be said again, and a summary is the memory.
    const whole = ({ text }) => this.texts.has(text);
    const kept = findings.filter(whole).flatMap(({ chunkIds }) => chunkIds);
    if (kept.length > 0) this.findings.append(this.#finding({ module: step.module, text: "keeps", chunkIds: kept }));
    const others = findings.filter((each) => !whole(each));
    this.findings.append(...others.map((each) => this.#finding(each.module === "summary" ? { ...each, text: "the memory, from" } : each)));
  }

  memory(memory) {
    this.#end(memory.text, memory.receipt);
  }

  answer({ text, memory, receipt }) {
    this.retrieved(memory);
    const found = new Map(memory.findings.map((each) => [each.module, each.findings]));
    for (const step of receipt.steps) this.moduleDone({ step, findings: found.get(step.module) ?? [] });
    if (receipt.answer) this.#row("answer", receipt.answer);
    this.#end(memory.text, receipt);
    this.result.prepend(element("h4", {}, "Answer"), element("blockquote", {}, text));
  }

  failed(message) {
    this.note.textContent = message;
    for (const row of this.waiting.values()) row.children[1].textContent = "not done";
  }

  #end(text, receipt) {
    const { total } = receipt;
    this.#row("in all", total);
    this.total.replaceChildren(...[
      [micro(total.costUsd), `× ${MICRO_USD}`], [shown(total.milliseconds), "ms"], [count(Number(total.inputTokens) + Number(total.outputTokens)), "tokens"],
    ].map(([value, unit]) => element("span", {}, element("strong", {}, value), ` ${unit}`)));
    this.note.textContent = [`Router ${receipt.router}.`, ...receipt.notes].join(" ");
    this.result.replaceChildren(element("h4", {}, "Memory"), element("blockquote", { class: "memory" }, text));
  }

  #row(name, usage, { choice, rung = "", fallbacks = [] } = {}) {
    const chances = choice ? [...probabilities(choice.probabilities)] : [];
    const masked = (choice?.masked ?? []).map(({ tier, reason }) => `no ${tierName(tier)}: ${reason}`);
    const ran = [rung, ...fallbacks.map((each) => `not ${each.rung}: ${each.reason}`), ...masked].filter(Boolean).join("; ");
    const numbers = [`${count(usage.inputTokens)} → ${count(usage.outputTokens)}`, micro(usage.costUsd), shown(usage.milliseconds)];
    const row = element(
      "tr", {}, element("th", { scope: "row" }, name),
      element("td", { class: "chosen" }, ...(choice ? [element("span", { class: `tier ${tierName(choice.tier)}` }, tierName(choice.tier))] : []), " ", element("span", {}, ran), ...chances),
      ...numbers.map((text) => element("td", { class: "number" }, text)),
    );
    const waits = this.waiting.get(name);
    this.waiting.delete(name);
    if (waits) waits.replaceWith(row);
    else this.rows.append(row);
  }

  #finding({ module, text, chunkIds }) {
    return element("li", {}, element("span", { class: "module" }, module), " ", text, ...chunkIds.flatMap((id) => [" ", this.#source(id)]));
  }

  #source(id) {
    const open = () => { this.chunksBox.open = true; };
    const label = `[${this.numbers.get(id) ?? id}]`;
    return element("a", { href: `#${this.#anchor(id)}`, "aria-label": `chunk ${label}`, onclick: open }, label);
  }

  #chunk({ id, session, time, text, tokens, score }) {
    const about = [`[${this.numbers.get(id)}]`, session, time, `${tokens} tokens`, `score ${shown(score)}`].filter(Boolean).join(" · ");
    return element("div", { class: "chunk", id: this.#anchor(id), tabindex: "-1" }, element("span", { class: "quiet" }, about), element("pre", {}, text));
  }

  #anchor(id) {
    return this.prefix + encodeURIComponent(id);
  }
}

// The numbers, for all, and a bar of them, for the eye.
function* probabilities(values) {
  let from = 0;
  const bars = values.map((value, place) => {
    const bar = drawn("rect", { x: from, y: 0, width: value, height: 1, class: tierName(TIERS[place]) });
    from += value;
    return bar;
  });
  yield drawn("svg", { class: "bar", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" }, ...bars);
  yield element("span", { class: "chances" }, values.map((each) => each.toFixed(2)).join(" / "));
}
