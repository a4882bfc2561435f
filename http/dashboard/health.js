// How the node and its shards are, out of /readyz, /metrics and the explanation of an answer, asked every few seconds.

import { ask, askText, Refused } from "./api.js";
import { byId, changed, clockSeconds, count, decimal, duration, element, say } from "./format.js";

const everyMs = 5_000;
const firstMs = 1_500; // until the second look, which a rate needs
const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)/;
const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;

// Prometheus text -> [{name, labels, value}]
export function parseMetrics(text) {
  const samples = [];
  for (const line of text.split("\n")) {
    const found = line.startsWith("#") ? null : sample.exec(line);
    if (found === null) continue;
    const labels = Object.fromEntries([...(found[2] ?? "").matchAll(label)].map(each => [each[1], each[2]]));
    samples.push({ name: found[1], labels, value: Number(found[3]) });
  }
  return samples;
}

const sumOf = (samples, name, fate) =>
  samples.filter(each => each.name === name && (!fate || each.labels.fate === fate)).reduce((sum, each) => sum + each.value, 0);

// The shards as they are drawn: what the answer explains, with the metrics' lags.
function shardsOf(explained, samples) {
  const faults = new Map((explained.log_faults ?? []).map(each => [each.shard, each.kind]));
  const behind = new Map(
    samples.filter(each => each.name === "adtrack_shard_lag_records").map(each => [Number(each.labels.shard), each.value]),
  );
  const late = new Map(
    samples.filter(each => each.name === "adtrack_shard_lag_seconds").map(each => [Number(each.labels.shard), each.value]),
  );
  const answered = new Map((explained.explain ?? []).map(each => [each.shard, each]));
  return Array.from({ length: explained.shards.total }, (_, shard) => {
    const answer = answered.get(shard);
    const seconds = late.get(shard);
    const known = answer !== undefined && answer.lag_ms !== null && !Number.isNaN(seconds);
    const fault = faults.get(shard);
    const records = behind.get(shard) ?? 0;
    const state = fault || !answer ? "bad" : !known || Math.max(answer.lag_ms / 1000, seconds ?? 0) >= 1 ? "warn" : "good";
    const lag = fault
      ? `fault: ${fault}`
      : !answer
        ? "no answer"
        : !known
          ? "lag unknown"
          : records > 0
            ? `${count(records)} behind, ${duration(Math.max(answer.lag_ms / 1000, seconds ?? 0))}`
            : "up to date";
    return { shard, state, lag, node: answer?.node ?? "", position: answer ? Number(answer.position.split(":")[1]) : null };
  });
}

function drawShards(shards) {
  if (!changed("shards", shards)) return;
  const many = new Set(shards.map(each => each.node)).size > 1;
  byId("shards").replaceChildren(
    ...shards.map(each => {
      const records = each.position === null ? "" : `${count(each.position)} records`;
      const item = element(
        "li",
        { "data-state": each.state },
        element("span", { class: "shard" }, element("span", { class: "unseen" }, "Shard "), String(each.shard)),
        element("span", { class: "lag" }, each.lag),
        element("span", { class: "muted" }, many ? `${records} on ${each.node}` : records),
      );
      return item;
    }),
  );
}

function drawNode(facts) {
  if (!changed("node", facts)) return;
  byId("node").replaceChildren(
    ...facts.map(([name, value, state]) =>
      element("div", {}, element("dt", {}, name), element("dd", state ? { "data-state": state } : {}, value)),
    ),
  );
}

function drawDegraded(degraded) {
  if (!changed("degraded", degraded)) return;
  byId("degraded").hidden = degraded.length === 0;
  byId("degraded").replaceChildren(...degraded.map(text => element("li", { class: "notice" }, text)));
}

let before = null; // {at, accepted}: of the last round

function intakeOf(samples) {
  const now = { at: performance.now(), accepted: sumOf(samples, "adtrack_events_total", "accepted") };
  const rate = before && now.accepted >= before.accepted ? ((now.accepted - before.accepted) * 1000) / (now.at - before.at) : null;
  before = now;
  return rate;
}

async function readiness() {
  try {
    return await ask("/readyz");
  } catch (error) {
    if (error instanceof Refused && error.status === 503) return { status: error.message, degraded: [] };
    throw error;
  }
}

async function look(tell) {
  const [explained, text, ready] = await Promise.all([
    ask("/api/v1/ads/analytics", [
      ["last", "1s"],
      ["limit", "1"],
      ["explain", "true"],
    ]),
    askText("/metrics"),
    readiness(),
  ]);
  const samples = parseMetrics(text);
  const shards = shardsOf(explained, samples);
  drawShards(shards);
  drawDegraded(ready.degraded ?? []);
  const up = ready.status === "ready";
  const build = samples.find(each => each.name === "adtrack_build_info");
  const spool = sumOf(samples, "adtrack_spool_records");
  const held = sumOf(samples, "adtrack_spool_held_records");
  const taken = intakeOf(samples);
  const nodes = [...new Set(shards.map(each => each.node).filter(Boolean))];
  const facts = [
    [
      "State",
      up ? (ready.degraded.length > 0 ? "ready, degraded" : "ready") : ready.status,
      up ? (ready.degraded.length > 0 ? "warn" : "good") : "bad",
    ],
    [
      nodes.length === 1 ? "Node" : "Nodes",
      nodes.map(node => `${node} (${count(shards.filter(each => each.node === node).length)} shards)`).join(", ") || "none answered",
    ],
    ["Version", build?.labels.version ?? "unknown"],
    ["Events taken in", taken === null ? "–" : `${decimal(taken)} per second`],
    ["Not yet durable", count(sumOf(samples, "adtrack_events_in_flight"))],
    ["Records behind", count(sumOf(samples, "adtrack_shard_lag_records"))],
    ["In the spool", held > 0 ? `${count(spool)}, ${count(held)} held back` : count(spool), spool > 0 ? "warn" : ""],
    ["Unreadable records", count(sumOf(samples, "adtrack_quarantined_total"))],
  ];
  drawNode(facts);
  say("health-more", `as of ${clockSeconds(new Date())}`);
  byId("health").classList.remove("stale");
  tell(explained);
}

// Gives what looks at once and from then on, and calls `tell` with each explanation, null when there was none.
export function followHealth(tell) {
  let timer = 0;
  let running = false;
  let seen = 0;
  const round = async () => {
    clearTimeout(timer);
    if (!document.hidden && !running) {
      running = true;
      try {
        await look(tell);
        seen += 1;
      } catch {
        say("health-more", "not known now");
        byId("health").classList.add("stale");
        tell(null);
      }
      running = false;
    }
    timer = setTimeout(round, seen < 2 ? firstMs : everyMs);
  };
  return round;
}
