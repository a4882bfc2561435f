// Questions to the server of this page: with the token when there is one, and the stream of analytics, which is asked for again
// whenever it ends. EventSource is not used: it cannot send the token.

const tokenName = "adtrack.token";
export const setToken = token => sessionStorage.setItem(tokenName, token);
export const hasToken = () => sessionStorage.getItem(tokenName) !== null;
export const forgetToken = () => sessionStorage.removeItem(tokenName);

// The server said no; `status` and, out of a problem document, `message` and `fields`.
export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail || problem?.title || `the server answered ${status}`);
    this.status = status;
    this.fields = (problem?.errors ?? []).map(each => each.field);
    if (problem?.errors?.length) this.message = problem.errors.map(each => `${each.field} ${each.message}`).join("; ");
  }
}

async function request(path, options = {}) {
  const headers = { ...options.headers };
  const token = sessionStorage.getItem(tokenName);
  if (token !== null) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error" });
  if (response.ok) return response;
  const type = response.headers.get("Content-Type") ?? "";
  throw new Refused(response.status, type.startsWith("application/problem+json") ? await response.json() : null);
}

const withQuery = (path, parameters) => `${path}?${new URLSearchParams(parameters)}`;
const patience = () => AbortSignal.timeout(15_000);

export const ask = async (path, parameters = [], signal = patience()) => (await request(withQuery(path, parameters), { signal })).json();
export const askText = async path => (await request(path, { signal: patience() })).text();

const firstWaitMs = 500;
const longestWaitMs = 8_000;
const silenceMs = 45_000; // three of the server's usual heartbeats

export class Stream {
  // `on` has answer(answer), connecting(), live(), lost({waitMs, heardAt, why}) and refused(error): a question that has no answer.
  constructor(parameters, on) {
    this.path = withQuery("/api/v1/ads/analytics/stream", parameters);
    this.on = on;
    this.closed = false;
    this.lastId = "";
    this.run();
  }

  close() {
    this.closed = true;
    this.ending?.abort();
  }

  async run() {
    let waitMs = firstWaitMs;
    this.on.connecting();
    while (!this.closed) {
      let why = "";
      try {
        await this.readOnce(() => (waitMs = firstWaitMs));
      } catch (error) {
        if (this.closed) return;
        if (error instanceof Refused && error.status < 500 && error.status !== 429) return this.on.refused(error);
        if (error instanceof Refused) why = error.message;
      }
      if (this.closed) return;
      // A connection that ended was good until now; one that fell silent, until it was last heard.
      const heardAt = this.ending.signal.aborted ? this.heardAt : Date.now();
      const thisWait = waitMs * (0.75 + Math.random() / 2); // so that many pages do not come back at once
      this.on.lost({ waitMs: thisWait, heardAt, why });
      await new Promise(done => setTimeout(done, thisWait));
      waitMs = Math.min(waitMs * 2, longestWaitMs);
    }
  }

  async readOnce(opened) {
    this.ending = new AbortController();
    let silence = setTimeout(() => this.ending.abort(), silenceMs);
    try {
      const headers = this.lastId ? { "Last-Event-ID": this.lastId } : {};
      const response = await request(this.path, { headers, signal: this.ending.signal });
      opened();
      this.heardAt = Date.now();
      this.on.live();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let pending = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done || this.closed) return;
        this.heardAt = Date.now();
        clearTimeout(silence);
        silence = setTimeout(() => this.ending.abort(), silenceMs);
        const blocks = (pending + value).split("\n\n");
        pending = blocks.pop();
        for (const block of blocks) this.take(block);
      }
    } finally {
      clearTimeout(silence);
    }
  }

  // One event of the stream: lines of `field: value`; a comment begins with a colon.
  take(block) {
    const fields = new Map();
    for (const line of block.split("\n")) {
      const colon = line.indexOf(":");
      if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).replace(/^ /, ""));
    }
    if (!fields.has("data")) return;
    this.lastId = fields.get("id") ?? "";
    this.on.answer(JSON.parse(fields.get("data")));
  }
}
