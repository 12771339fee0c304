// Everything here is made of text nodes: nothing that a server says is ever read as HTML.

import { shown, tierName } from "./budgets.js";

const USAGE = ["Tokens in", "Tokens out", "USD", "ms"];

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export function historyButton(history, current, choose) {
  const label = `${history.name} (${history.turns} turns)`;
  return element("li", {}, element("button", { type: "button", "aria-pressed": String(current), onclick: choose }, label));
}

export function turnItem(turn) {
  const when = turn.time ? ` · ${turn.time}` : "";
  return element("li", {}, element("span", { class: "quiet" }, `${turn.speaker}${when}`), element("blockquote", {}, turn.text));
}

// One extraction, as it goes on: chunks, a row for every module that is done, the memory.
export class Run {
  constructor(place, name, number) {
    this.prefix = `run${number}-`;
    this.rows = element("tbody");
    this.findings = element("ul");
    this.chunks = element("div");
    this.result = element("div");
    this.note = element("p", { class: "quiet" }, "Running …");
    const heads = ["Module", "Tier", "Low / Mid / High", "Ran", ...USAGE];
    const head = element("tr", {}, ...heads.map((text) => element("th", { scope: "col" }, text)));
    const table = element("table", {}, element("caption", {}, "Modules"), element("thead", {}, head), this.rows);
    place.append(element(
      "article", { "aria-label": name },
      element("h3", {}, name), this.note, this.result,
      element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Modules of ${name}` }, table),
      element("h4", {}, "Findings"), this.findings,
      element("h4", {}, "Retrieved chunks"), this.chunks,
    ));
  }

  retrieved({ chunks }) {
    this.chunks.replaceChildren(...chunks.map((chunk) => this.#chunk(chunk)));
  }

  moduleDone({ step, findings }) {
    this.#row(step.module, step.choice, step.rung, step.usage, step.fallbacks);
    this.findings.append(...findings.map((finding) => this.#finding(finding)));
  }

  memory(memory) {
    this.#end(memory.text, memory.receipt);
  }

  answer({ text, memory, receipt }) {
    this.retrieved(memory);
    const found = new Map(memory.findings.map((each) => [each.module, each.findings]));
    for (const step of receipt.steps) this.moduleDone({ step, findings: found.get(step.module) ?? [] });
    if (receipt.answer) this.#row("answer", undefined, "", receipt.answer, []);
    this.#end(memory.text, receipt);
    this.result.prepend(element("h4", {}, "Answer"), element("blockquote", {}, text));
  }

  failed(message) {
    this.note.textContent = message;
  }

  #end(text, receipt) {
    this.#row("in all", undefined, "", receipt.total, []);
    this.note.textContent = [`Router ${receipt.router}.`, ...receipt.notes].join(" ");
    this.result.replaceChildren(element("h4", {}, "Memory"), element("blockquote", {}, text));
  }

  #row(name, choice, rung, usage, fallbacks) {
    const chances = (choice?.probabilities ?? []).map((each) => each.toFixed(2)).join(" / ");
    const ran = [rung, ...fallbacks.map((each) => `not ${each.rung}: ${each.reason}`)].filter(Boolean).join("; ");
    const numbers = [usage.inputTokens, usage.outputTokens, shown(usage.costUsd), shown(usage.milliseconds)];
    this.rows.append(element(
      "tr", {}, element("th", { scope: "row" }, name),
      ...[choice ? tierName(choice.tier) : "", chances, ran].map((text) => element("td", {}, text)),
      ...numbers.map((text) => element("td", { class: "number" }, String(text))),
    ));
  }

  #finding({ module, text, chunkIds }) {
    const sources = chunkIds.flatMap((id) => [" ", element("a", { href: `#${this.#anchor(id)}` }, id)]);
    return element("li", {}, element("span", { class: "quiet" }, `${module}: `), text, ...sources);
  }

  #chunk({ id, session, time, text, tokens, score }) {
    const about = [id, session, time, `${tokens} tokens`, `score ${shown(score)}`].filter(Boolean).join(" · ");
    return element("div", { class: "chunk", id: this.#anchor(id), tabindex: "-1" }, element("span", { class: "quiet" }, about), element("pre", {}, text));
  }

  #anchor(id) {
    return this.prefix + encodeURIComponent(id);
  }
}
