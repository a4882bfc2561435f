// The parts of the page that show an answer of analytics: totals, ads, funnel, invalid traffic, and what to know about the numbers.

import { byId, changed, clockSeconds, count, counted, decimal, duration, element, rate, say, share } from "./format.js";
import { anyAd, isKnown, isMissing, nameOf } from "./names.js";
import { addressOf } from "./window.js";

const stages = [
  ["start", "Started"],
  ["first_quartile", "First quarter"],
  ["midpoint", "Half"],
  ["third_quartile", "Third quarter"],
  ["complete", "Complete"],
];
const reasons = { bot: "Bots", no_agent: "No agent", datacenter: "Data centres", prefetch: "Prefetched", repeat: "Repeated at once" };
const rowsAtFirst = 10;
const tryId = `try-${Date.now().toString(36)}`;
let rowsShown = rowsAtFirst;

// The rows as one: counts add up, visitors do so by ad only.
export function sumOf(rows) {
  const sum = {
    clicks: 0,
    impressions: 0,
    gross: 0,
    duplicates: 0,
    restated: 0,
    visitors: 0,
    visitorsError: 0,
    invalid: {},
    playbacks: {},
  };
  for (const row of rows) {
    sum.clicks += row.click_count;
    sum.impressions += row.impressions;
    sum.gross += row.gross_clicks;
    sum.duplicates += row.duplicates ?? 0;
    sum.restated += row.restated;
    sum.visitors += row.unique_clicks;
    sum.visitorsError += row.unique_clicks * row.unique_error;
    for (const [reason, n] of Object.entries(row.invalid_clicks)) sum.invalid[reason] = (sum.invalid[reason] ?? 0) + n;
    for (const [stage, n] of Object.entries(row.playbacks)) sum.playbacks[stage] = (sum.playbacks[stage] ?? 0) + n;
  }
  return sum;
}

export const started = playbacks => playbacks.start ?? 0;
const ctrOf = row => (row.impressions > 0 ? row.clicks / row.impressions : null);

export function drawTotals(sum, state, rows) {
  const invalid = sum.gross - sum.clicks;
  say("clicks", count(sum.clicks));
  say("clicks-more", `besides ${count(invalid)}\u00a0invalid, ${counted(sum.duplicates, "duplicate").replace(" ", "\u00a0")}`);
  say("impressions", count(sum.impressions));
  const late = sum.restated > 0 ? `, ${counted(sum.restated, "event")} came late` : "";
  say("impressions-more", (state.ad === null ? `of ${counted(rows, "ad")}` : "of this ad") + late);
  say("ctr", rate(ctrOf(sum)));
  say("ctr-more", sum.impressions > 0 ? "clicks per impression" : "no impressions yet");
  say("visitors", count(sum.visitors));
  const error = sum.visitors > 0 ? sum.visitorsError / sum.visitors : 0;
  say("visitors-more", `${state.ad === null ? "added up by ad, " : ""}${error > 0 ? `± ${share(error)}` : "exact"}`);
  const first = started(sum.playbacks);
  say("playbacks", count(first));
  say("playbacks-more", first > 0 ? `${share((sum.playbacks.complete ?? 0) / first)} to the end` : "none started");
}

// An answer that does not come: nothing is shown rather than what it was before.
export function blank() {
  for (const id of ["clicks", "impressions", "ctr", "visitors", "playbacks", "rate"]) say(id, "–");
  for (const id of ["clicks", "impressions", "ctr", "visitors", "playbacks"]) say(`${id}-more`, "");
  for (const id of ["ads-rows", "groups-rows", "funnel", "invalid"]) byId(id).replaceChildren();
  for (const id of ["ads-more", "invalid-more", "groups-note"]) say(id, "");
  for (const key of ["funnel", "invalid"]) changed(key, null);
}

export function drawRate(perSecond, part = "") {
  say("rate-more", `${part}over the last 10 s`);
  say("rate", perSecond === null ? "–" : decimal(perSecond));
}

function bar(label, value, whole, note) {
  const fill = element("span", { class: "fill", "aria-hidden": "true" });
  fill.style.setProperty("--part", whole > 0 ? Math.min(1, value / whole) : 0);
  return element(
    "li",
    {},
    element("span", { class: "bar-label" }, label),
    element("span", { class: "bar-value" }, `${count(value)} `, element("span", { class: "muted" }, note)),
    fill,
  );
}

export function drawFunnel(playbacks) {
  if (!changed("funnel", playbacks)) return;
  const first = started(playbacks);
  const most = Math.max(first, ...Object.values(playbacks));
  byId("funnel").hidden = !most;
  byId("funnel-none").hidden = Boolean(most);
  byId("funnel").replaceChildren(
    ...stages.map(([stage, label]) => bar(label, playbacks[stage] ?? 0, most, first > 0 ? share((playbacks[stage] ?? 0) / first) : "")),
  );
}

export function drawInvalid(sum) {
  if (!changed("invalid", [sum.invalid, sum.gross])) return;
  const entries = Object.entries(sum.invalid).sort((a, b) => b[1] - a[1]);
  byId("invalid").hidden = entries.length === 0;
  byId("invalid-none").hidden = entries.length > 0;
  say("invalid-more", sum.gross > 0 ? `${share((sum.gross - sum.clicks) / sum.gross)} of all clicks` : "");
  byId("invalid").replaceChildren(...entries.map(([reason, n]) => bar(reasons[reason] ?? reason, n, entries[0][1], share(n / sum.gross))));
}

// ---- the ads

const lines = new Map(); // ad -> its table row, kept so that the focus stays where it is

function makeLine(ad) {
  const link = element("a", {});
  const id = element("span", { class: "muted id" }, `#${ad}`);
  const cells = ["", "wide", "", "wide", "wide"].map(kind => element("td", kind ? { class: kind } : {}));
  const fill = element("span", { class: "fill", "aria-hidden": "true" });
  const row = element("tr", {}, element("th", { scope: "row" }, link, " ", id, fill), ...cells);
  return { row, link, id, cells, fill };
}

function write(at, text) {
  if (at.textContent !== text) at.textContent = text;
}

export function drawAds(answer, state, choose) {
  const shown = answer.data.slice(0, rowsShown);
  const most = Math.max(1, ...shown.map(row => row.click_count));
  const rows = shown.map(row => {
    if (!lines.has(row.ad_id)) {
      const made = makeLine(row.ad_id);
      made.row.addEventListener("click", event => {
        if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
        event.preventDefault();
        choose(row.ad_id);
      });
      lines.set(row.ad_id, made);
    }
    const line = lines.get(row.ad_id);
    write(line.link, nameOf(row.ad_id));
    line.id.hidden = !isKnown(row.ad_id);
    line.link.setAttribute("href", addressOf({ ...state, ad: row.ad_id }));
    line.fill.style.setProperty("--part", row.click_count / most);
    [
      count(row.click_count),
      count(row.impressions),
      rate(row.ctr),
      `${count(row.unique_clicks)}${row.unique_error > 0 ? " ≈" : ""}`,
      count(row.gross_clicks - row.click_count),
    ].forEach((text, index) => write(line.cells[index], text));
    return line.row;
  });
  const body = byId("ads-rows");
  if (rows.length !== body.children.length || rows.some((row, index) => body.children[index] !== row)) {
    const focused = document.activeElement;
    body.replaceChildren(...rows);
    if (focused !== document.activeElement && body.contains(focused)) focused.focus({ preventScroll: true });
  }
  byId("ads-none").hidden = rows.length > 0;
  byId("ads-all").hidden = answer.data.length <= rowsShown;
  say("ads-more", answer.total > rows.length ? `${count(rows.length)} of ${count(answer.total)}` : "");
  for (const button of document.querySelectorAll("#ads [data-sort]"))
    if (button.dataset.sort === state.sort) button.closest("th").setAttribute("aria-sort", "descending");
    else button.closest("th").removeAttribute("aria-sort");
}

export function showMoreAds() {
  rowsShown += 50;
}
export function showFewerAds() {
  rowsShown = rowsAtFirst;
}

// ---- groups of one ad

export function drawGroups(answer) {
  const rows = answer.data;
  byId("groups-rows").replaceChildren(
    ...rows.map(row =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, row.group),
        element("td", {}, count(row.click_count)),
        element("td", { class: "wide" }, count(row.impressions)),
        element("td", {}, rate(row.ctr)),
        element("td", { class: "wide" }, count(row.unique_clicks)),
        element("td", { class: "wide" }, count(row.gross_clicks - row.click_count)),
      ),
    ),
  );
  say(
    "groups-note",
    rows.length > 0
      ? `Groups are kept by the hour: these are the whole hours that the window touches.${answer.complete ? "" : " They are not complete."}`
      : "No events in this window.",
  );
}

// ---- what to know

// Sentences about what is missing or late, out of the newest answers.
export function drawNotices(answer, lag, extra) {
  const told = [...extra];
  const faults = (lag ?? answer).log_faults ?? [];
  for (const fault of faults) {
    const where = fault.shard === undefined ? "the log" : `the log of shard ${fault.shard}`;
    told.push(`These numbers are not complete: ${where} has a fault (${fault.kind}), and what is counted of it is as of before that.`);
  }
  const lacking = [answer, lag].find(each => each && !each.complete);
  if (lacking && faults.length === 0) {
    const { answered, total } = lacking.shards;
    told.push(`These numbers are not complete: ${count(answered)} of ${count(total)} shards answered.`);
  }
  if (lag && !lag.is_real_time) {
    const late =
      lag.lag_ms === null
        ? "nobody can say how late"
        : lag.lag_ms > 0
          ? `up to ${duration(lag.lag_ms / 1000)} late`
          : "events wait to be counted";
    told.push(`These numbers are not real time: ${late}.`);
  }
  if (answer.total > answer.data.length)
    told.push(
      `The totals are over ${count(answer.data.length)} of ${count(answer.total)} ads with events in this window, the first in the table's order.`,
    );
  if (!changed("notices", told)) return;
  byId("notices").hidden = told.length === 0;
  byId("notices").replaceChildren(...told.map(text => element("li", { class: "notice" }, text)));
}

export function drawEmpty(answer, state) {
  byId("empty").hidden = answer.data.length > 0;
  for (const id of ["series", "columns"]) byId(id).hidden = answer.data.length === 0;
  if (answer.data.length > 0) return;
  const ad = state.ad ?? anyAd();
  say(
    "empty-curl",
    `curl ${location.origin}/api/v1/ads/click \\\n  -H 'Content-Type: application/json' \\\n  -d '{"event_id": "${tryId}", "ad_id": ${ad}, "agent": "Mozilla/5.0"}'`,
  );
}

export function drawHeading(state, answer) {
  const title = state.ad === null ? "All ads" : nameOf(state.ad);
  say("what", title);
  document.title = state.ad === null ? "adtrack" : `${title} – adtrack`;
  const more = byId("what-more");
  const key = [state.ad, title, addressOf({ ...state, ad: null }), isMissing(state.ad)];
  if (changed("heading", key)) {
    const back = element("a", { href: addressOf({ ...state, ad: null }), "data-all": "" }, "All ads");
    more.replaceChildren(
      ...(state.ad === null ? [] : [back, ` · #${state.ad}`, isMissing(state.ad) ? ", not in the catalogue" : "", " · "]),
      element("span", { id: "as-of" }),
    );
  }
  if (answer) say("as-of", `last change ${clockSeconds(new Date(answer.generated_at))}`);
}
