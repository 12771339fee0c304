// The histories of a tenant: choose one, read it page by page, add one, delete one.

import { batches, turnsOf } from "./conversations.js";
import { element } from "./dom.js";
import { count } from "./numbers.js";

const PAGE = 100;
const EXAMPLE = { name: "example", file: "/console/example.jsonl", question: "How much did Idris pay for the dinghy and her engine together?" };

// `api()` is the API at this moment, `say` announces, `telling` does work and shows its failure.
export class Histories {
  constructor({ $, api, say, telling }) {
    Object.assign(this, { $, api, say, chosen: null, all: [], from: 0, reading: null });
    const on = (id, event, work) => $(id).addEventListener(event, (happened) => {
      happened.preventDefault();
      telling(work);
    });
    on("previous", "click", () => this.#turnTo(this.from - PAGE));
    on("next", "click", () => this.#turnTo(this.from + PAGE));
    on("add-form", "submit", () => this.#added());
    on("example", "click", () => this.#example());
    on("delete", "click", async () => {
      // The one that is asked about: an ingest that ends meanwhile chooses another.
      $("confirm").dataset.history = this.chosen;
      $("confirm-title").textContent = `Delete ${this.chosen}?`;
      $("confirm").showModal();
    });
    on("delete-yes", "click", () => this.#delete());
    on("delete-no", "click", async () => $("confirm").close());
    this.button = (history) => element("li", {}, element(
      "button", { type: "button", onclick: () => telling(() => this.choose(history.name)) },
      element("span", {}, history.name), " ", element("span", { class: "turns-count" }, history.damaged ? "damaged" : `${count(history.turns)} turns`),
    ));
  }

  // A lone history is chosen at once: there is nothing to choose.
  async load() {
    this.all = (await this.api().histories()).histories;
    if (!this.all.some(({ name }) => name === this.chosen)) this.chosen = null;
    this.#list();
    if (this.all.length === 1 && this.chosen === null) await this.choose(this.all[0].name);
  }

  forget() {
    this.reading?.abort();
    Object.assign(this, { chosen: null, all: [] });
    this.#list();
  }

  async choose(name) {
    this.chosen = name;
    this.#show();
    await this.#page(0);
    this.say(`${name} is chosen`);
  }

  #list() {
    this.$("histories").replaceChildren(...this.all.map(this.button));
    this.#show();
  }

  // The buttons stay as they are: one that is made anew has lost the focus.
  #show() {
    const { $ } = this;
    for (const [place, { name }] of this.all.entries()) this.#button(place).setAttribute("aria-pressed", String(name === this.chosen));
    $("no-histories").hidden = this.all.length > 0;
    $("turns-box").hidden = this.chosen === null;
    $("chosen").textContent = this.chosen === null ? "" : `Turns of ${this.chosen}`;
    // No turns of another history under this one's name: not while its own load, nor if they fail to.
    $("turns").replaceChildren();
    $("pages").textContent = "";
    $("previous").disabled = $("next").disabled = true;
    $("of").textContent = this.chosen === null ? "Add a history, or choose one, to ask about it." : `About ${this.chosen}.`;
  }

  #button(place) { return this.$("histories").children[place].querySelector("button"); }

  async #turnTo(from) {
    await this.#page(from);
    this.say(`Turns ${this.$("pages").textContent}`);
  }

  // The server gives all turns in one stream; of that, one page is kept, and the rest is not sent.
  async #page(from) {
    const { $, chosen } = this;
    const total = this.all.find(({ name }) => name === chosen)?.turns ?? 0;
    this.reading?.abort();
    const reading = new AbortController();
    this.reading = reading;
    const page = [];
    for await (const { turn } of this.api().turns(chosen, from, reading.signal)) {
      page.push(turnItem(turn));
      if (page.length === PAGE) break;
    }
    if (this.reading !== reading) return;
    this.from = from;
    $("turns").replaceChildren(...page);
    $("turns").setAttribute("start", String(from + 1));
    $("turns-scroll").scrollTop = 0;
    $("pages").textContent = `${count(from + 1)} – ${count(from + page.length)} of ${count(total)}`;
    const focused = document.activeElement;
    $("previous").disabled = from === 0;
    $("next").disabled = from + page.length >= total;
    // A button that is disabled has lost the focus.
    if (focused.disabled) ([$("previous"), $("next")].find((each) => !each.disabled) ?? $("turns-scroll")).focus();
  }

  async #added() {
    const { $ } = this;
    const api = this.api();
    const [file] = $("add-file").files;
    await this.#ingest(api, $("add-name").value, turnsOf(file ? await file.text() : $("add-text").value));
    $("add-form").reset();
    $("add").open = false;
  }

  async #example() {
    const { $ } = this;
    const api = this.api();
    await this.#ingest(api, EXAMPLE.name, turnsOf(await (await fetch(EXAMPLE.file)).text()));
    if ($("question").value === "") $("question").value = EXAMPLE.question;
  }

  // To the end by the API that was asked for when it began: it is that tenant's.
  async #ingest(api, name, turns) {
    let [sent, added] = [0, 0];
    for (const batch of batches(turns)) {
      this.say(`${name}: ${count(sent)} of ${count(turns.length)} turns are in`);
      added += (await api.ingest(name, batch)).added;
      sent += batch.length;
    }
    this.chosen = name;
    await this.load();
    await this.choose(name);
    this.say(`${count(added)} turns are new in ${name}`);
    this.$("question").focus();
  }

  async #delete() {
    const { $ } = this;
    $("confirm").close();
    const name = $("confirm").dataset.history;
    const { turns } = await this.api().remove(name);
    const loses = ["histories", "turns-box"].some((id) => $(id).contains(document.activeElement));
    this.forget();
    await this.load();
    if (loses) ($("histories").querySelector("button") ?? $("example")).focus();
    this.say(`${name} is deleted: ${count(turns)} turns`);
  }
}

function turnItem(turn) {
  const about = [turn.speaker, turn.time?.replace("T", " ")].filter(Boolean).join(" · ");
  const caption = turn.caption ? [element("p", { class: "quiet" }, `Picture: ${turn.caption}`)] : [];
  return element("li", {}, element("span", { class: "quiet" }, about), element("blockquote", {}, turn.text), ...caption);
}
