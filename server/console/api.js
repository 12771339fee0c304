// The HTTP API: every call here is a route of docs/http.md.

const HISTORIES = "/v1/histories";
// What a header may carry; of anything else a browser complains before it asks.
const PRINTABLE = /^[\x20-\x7e]*$/;
const path = (history, rest) => `${HISTORIES}/${encodeURIComponent(history)}${rest}`;

// The fault that a server told, or the status where it told none.
export class ApiError extends Error {
  constructor(status, error) {
    super(error ? `${error.status}: ${error.message}` : `HTTP ${status}`);
    this.status = status;
    this.refused = status === 401 || status === 403;
  }
}

// A proxy may end a reply in good order before the server has.
export class CutOff extends Error {
  constructor() { super("The reply was cut off before its end. Ask again."); }
}

export class Api {
  #closed = new AbortController();

  constructor({ key = "", tenant = "" } = {}) {
    this.headers = {};
    if (key) this.headers.authorization = `Bearer ${key}`;
    if (tenant) this.headers["budgetmem-tenant"] = tenant;
    if (!PRINTABLE.test(key)) this.fault = new ApiError(401, { status: "UNAUTHENTICATED", message: "the API key or token has a character that none has: copy it again" });
    else if (!PRINTABLE.test(tenant)) this.fault = new ApiError(400, { status: "INVALID_ARGUMENT", message: "the tenant has a character that none has: write it in ASCII" });
  }

  // Ends its calls, and refuses what follows them: no work of one tenant goes on as another's.
  close() { this.#closed.abort(); }

  info() { return this.#json("/v1/info"); }

  histories() { return this.#json(HISTORIES); }

  metrics() { return this.#json("/v1/metrics"); }

  ingest(history, turns) { return this.#json(path(history, ":ingest"), { turns }); }

  async remove(history) { return (await this.#fetch(path(history, ""), { method: "DELETE", accept: "application/json" })).json(); }

  answer(history, body, signal) { return this.#json(path(history, ":answer"), body, signal); }

  extract(history, body, signal) { return this.#lines(path(history, ":extractStream"), body, signal); }

  turns(history, from, signal) { return this.#lines(path(history, "/turns"), undefined, signal, from); }

  async #json(url, body, signal) {
    return (await this.#fetch(url, { body, signal, accept: "application/json" })).json();
  }

  // `from` lines are passed over unread.
  async *#lines(url, body, signal, from = 0) {
    const response = await this.#fetch(url, { body, signal, accept: "application/x-ndjson" });
    let number = 0;
    for await (const line of lines(response.body)) {
      if ((number += 1) <= from) continue;
      const message = parsed(line);
      if (message.error) throw new ApiError(message.error.code, message.error);
      yield message;
    }
  }

  async #fetch(url, { body, signal, accept, method = body === undefined ? "GET" : "POST" }) {
    if (this.fault) throw this.fault;
    const headers = { ...this.headers, accept };
    if (body !== undefined) headers["content-type"] = "application/json";
    const either = AbortSignal.any([this.#closed.signal, signal].filter(Boolean));
    const response = await fetch(url, { method, headers, body: JSON.stringify(body), signal: either });
    if (response.ok) return response;
    const told = await response.json().catch(() => ({}));
    throw new ApiError(response.status, told.error);
  }
}

function parsed(line) {
  try {
    return JSON.parse(line);
  } catch {
    throw new CutOff();
  }
}

// The lines of a stream of bytes, as they come; a character or a line may come in pieces.
export async function* lines(stream) {
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      const parts = (rest + (done ? decoder.decode() : decoder.decode(value, { stream: true }))).split("\n");
      rest = parts.pop();
      yield* parts.filter((line) => line !== "");
      if (done) break;
    }
    if (rest !== "") yield rest;
  } finally {
    // Whoever has read enough does not want the rest sent; of a stream that failed there is none.
    reader.cancel().catch(() => {});
  }
}
