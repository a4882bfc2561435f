// The dashboard: keeps the page's state and the address the same, holds the stream, and hands each answer to the panels.

import { ask, forgetToken, hasToken, Refused, setToken, Stream } from "./api.js";
import { Chart } from "./chart.js";
import { byId, clockSeconds, duration, say, zone } from "./format.js";
import { followHealth } from "./health.js";
import { followNames, learn } from "./names.js";
import {
  blank,
  drawAds,
  drawEmpty,
  drawFunnel,
  drawGroups,
  drawHeading,
  drawInvalid,
  drawNotices,
  drawRate,
  drawTotals,
  showFewerAds,
  showMoreAds,
  started,
  sumOf,
} from "./panels.js";
import { addressOf, fallBackToUtc, question, readState, seriesPlans } from "./window.js";

const rateEveryMs = 2_000;
const rateSeconds = 10;
const seriesEveryMs = 3_000; // while numbers change
const seriesIdleMs = 15_000; // while only the window moves
const groupsEveryMs = 10_000;
const blankAfterMs = 300; // without an answer to a new question, the numbers of the old one go

let state = readState(location.search);
let stream = null;
let answer = null; // the newest of the stream
let lag = null; // the newest explanation
let trouble = ""; // why the question cannot be answered
let blanking = 0;
let round = 0; // of questions: what an earlier one still brings is dropped
const chart = new Chart();

// ---- the connection

// `goodAt`: when what is shown was last known to be the newest.
const connection = { state: "connecting", retryAt: 0, goodAt: 0, why: "" };

function setConnection(now, { waitMs = 0, heardAt = Date.now(), why = "" } = {}) {
  if (now === "live" || connection.state === "live") connection.goodAt = heardAt;
  Object.assign(connection, { state: now, retryAt: Date.now() + waitMs, why });
  document.querySelector(".connection").dataset.state = now;
  document.body.classList.toggle("stale", now === "lost" && answer !== null);
  say(
    "connection",
    { connecting: "Connecting", live: "Live", lost: "Connection lost", closed: "Waiting for a key", refused: "Not answered" }[now],
  );
  tick();
}

function tick() {
  if (connection.state !== "lost") return say("connection-detail", "");
  const { goodAt, why } = connection;
  const age = answer && goodAt ? `numbers from ${clockSeconds(new Date(goodAt))}, ${duration((Date.now() - goodAt) / 1000)} old; ` : "";
  const wait = Math.max(0, Math.ceil((connection.retryAt - Date.now()) / 1000));
  say("connection-detail", `${why && `${why} `}${age}${wait > 0 ? `next try in ${wait} s` : "trying"}`);
}

// ---- drawing

function draw() {
  drawHeading(state, answer);
  if (answer === null) return;
  const sum = sumOf(answer.data);
  drawTotals(sum, state, answer.data.length);
  drawFunnel(sum.playbacks);
  drawInvalid(sum);
  drawAds(answer, state, ad => go({ ad }));
  drawEmpty(answer, state);
  notices();
}

function notices() {
  drawNotices(answer ?? { complete: true, data: [], total: 0 }, lag, trouble ? [trouble] : []);
}

// ---- the chart: asked for when an answer has come, again when it is another one, and no more often than it costs little

const series = { asked: null, at: 0, busy: false, timer: 0 };

function pointsOf(answers) {
  const points = new Map();
  let until = null;
  for (const each of answers) {
    until = each.until;
    for (const row of each.data)
      for (const point of row.series) {
        if (!points.has(point.start))
          points.set(point.start, { start: new Date(point.start), clicks: 0, impressions: 0, playbacks: 0, invalid: 0 });
        const sum = points.get(point.start);
        sum.clicks += point.click_count;
        sum.impressions += point.impressions;
        sum.playbacks += started(point.playbacks);
        sum.invalid += point.gross_clicks - point.click_count;
      }
  }
  const sorted = [...points.values()].sort((a, b) => a.start - b.start);
  sorted.forEach((point, index) => (point.end = sorted[index + 1]?.start ?? new Date(until)));
  return sorted;
}

async function askSeries(plans) {
  for (const [index, plan] of plans.entries()) {
    try {
      const answers = [];
      for (const each of plan.questions) answers.push(await ask("/api/v1/ads/analytics", each));
      return { plan, answers };
    } catch (error) {
      // Finer points than are kept of so old a window: the next coarser ones.
      if (!(error instanceof Refused && error.status === 400 && error.fields.includes("granularity")) || index + 1 === plans.length)
        throw error;
    }
  }
  return null;
}

async function loadSeries() {
  if (series.busy || document.hidden) return;
  clearTimeout(series.timer);
  if (answer === null || (answer === series.asked && performance.now() - series.at < seriesIdleMs)) {
    series.timer = setTimeout(loadSeries, seriesEveryMs);
    return;
  }
  const mine = round;
  const asked = answer;
  series.busy = true;
  const began = performance.now();
  try {
    const ads = asked.data.map(row => row.ad_id);
    const plans = seriesPlans(state, ads);
    const found = ads.length > 0 ? await askSeries(plans) : null;
    if (mine !== round) return;
    series.asked = asked;
    series.at = performance.now();
    chart.show(found ? pointsOf(found.answers) : [], found?.plan.step ?? "minute");
    const notes = [];
    if (plans.length === 0) notes.push("The window is too long for a chart.");
    if (found && found.plan.covered < asked.total)
      notes.push(`The chart is of the first ${found.plan.covered} of ${asked.total} ads in the table's order.`);
    if (found?.answers.some(each => !each.complete)) notes.push("The chart is not complete.");
    byId("series-note").hidden = notes.length === 0;
    say("series-note", notes.join(" "));
  } catch (error) {
    if (mine !== round) return;
    byId("series-note").hidden = false;
    say(
      "series-note",
      error instanceof Refused
        ? `The chart cannot be drawn: ${error.message}.`
        : "The chart is not up to date: the server could not be reached.",
    );
  } finally {
    series.busy = false;
    series.timer = setTimeout(loadSeries, mine === round ? Math.max(seriesEveryMs, 10 * (performance.now() - began)) : 0);
  }
}

// ---- the rate, and groups of one ad

async function loadRate() {
  if (connection.state !== "live") return drawRate(null);
  if (document.hidden) return;
  const mine = round;
  const parameters = [["last", `${rateSeconds}s`], ["limit", 1000], ...(state.ad === null ? [] : [["ad_id", state.ad]])];
  try {
    const found = await ask("/api/v1/ads/analytics", parameters);
    if (mine !== round) return;
    const events = found.data.reduce(
      (sum, row) => sum + row.gross_clicks + row.impressions + Object.values(row.playbacks).reduce((a, b) => a + b, 0),
      0,
    );
    drawRate(events / rateSeconds, found.total > found.data.length ? `of ${found.data.length} of ${found.total} ads, ` : "");
  } catch {
    drawRate(null);
  }
}

async function loadGroups() {
  if (state.ad === null || connection.state !== "live" || document.hidden) return;
  const mine = round;
  try {
    const found = await ask("/api/v1/ads/analytics", [
      ...question(state),
      ["group_by", byId("dimension").value],
      ["sort", "-click_count"],
      ["limit", 12],
    ]);
    if (mine === round) drawGroups(found);
  } catch (error) {
    if (mine === round) say("groups-note", `Not known: ${error.message}.`);
  }
}

// ---- the state

function follow() {
  stream?.close();
  round += 1;
  const mine = round;
  let fresh = true; // nothing of this question has come yet
  trouble = "";
  stream = new Stream([...question(state), ["sort", state.sort], ["limit", 1000]], {
    answer(found) {
      if (mine !== round) return;
      const first = fresh;
      fresh = false;
      answer = found;
      byId("token-form").hidden = true;
      draw();
      if (!first) return;
      loadSeries();
      loadRate();
      loadGroups();
    },
    connecting: () => mine === round && setConnection("connecting"),
    live: () => mine === round && setConnection("live"),
    lost: how => mine === round && setConnection("lost", how),
    refused(error) {
      if (mine !== round) return;
      if (error.status === 401) return askForToken();
      if (error.fields.includes("tz") && fallBackToUtc()) {
        say("foot", `Times in ${zone}; hours and days are those of UTC, as the server does not know this time zone`);
        return follow();
      }
      setConnection("refused");
      trouble = `The server does not answer this question: ${error.message}.`;
      notices();
    },
  });
}

function show() {
  for (const input of document.querySelectorAll("[name=last]")) input.checked = input.value === (state.last ?? "custom");
  byId("custom").hidden = state.last !== null;
  if (state.last === null) {
    byId("since").value = localInput(state.since);
    byId("until").value = localInput(state.until);
  }
  byId("ads").hidden = state.ad !== null;
  byId("groups").hidden = state.ad === null;
  answer = null;
  chart.wait();
  clearTimeout(blanking);
  blanking = setTimeout(() => answer === null && blank(), blankAfterMs);
  follow();
  draw();
  if (state.ad !== null) learn(state.ad).then(found => found && draw());
}

function go(changes) {
  const next = { ...state, ...changes };
  if (addressOf(next) === addressOf(state)) return;
  const other = next.ad !== state.ad;
  state = next;
  history.pushState(null, "", addressOf(state));
  if (other) {
    showFewerAds();
    scrollTo(0, 0);
    byId("main").focus({ preventScroll: true });
  }
  show();
}

addEventListener("popstate", () => {
  state = readState(location.search);
  show();
});

// ---- controls

const two = n => String(n).padStart(2, "0");
function localInput(time) {
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}T${two(time.getHours())}:${two(time.getMinutes())}`;
}

byId("window").addEventListener("change", event => {
  if (event.target.name !== "last") return;
  const custom = event.target.value === "custom";
  byId("custom").hidden = !custom;
  if (!custom) return go({ last: event.target.value, since: null, until: null });
  const from = answer?.since ? new Date(answer.since) : new Date(Date.now() - 3_600_000);
  byId("since").value = localInput(from);
  byId("until").value = localInput(answer?.until ? new Date(answer.until) : new Date());
});

byId("window").addEventListener("submit", event => {
  event.preventDefault();
  const since = new Date(byId("since").value);
  const until = new Date(byId("until").value);
  const good = since < until;
  byId("custom-error").hidden = good;
  if (good) return go({ last: null, since, until });
  say("custom-error", "The window must begin before it ends.");
  byId("since").focus();
});

byId("metric").addEventListener("change", event => chart.choose(event.target.value));
byId("dimension").addEventListener("change", () => loadGroups());
byId("ads-all").addEventListener("click", () => {
  showMoreAds();
  draw();
});
for (const button of document.querySelectorAll("#ads [data-sort]"))
  button.addEventListener("click", () => go({ sort: button.dataset.sort }));
byId("what-more").addEventListener("click", event => {
  if (!("all" in event.target.dataset) || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  go({ ad: null });
});

function askForToken() {
  setConnection("closed");
  say(
    "token-why",
    hasToken()
      ? "The server does not know this token. Try another one."
      : "This server gives its numbers to those who have a read key. The token stays in this tab.",
  );
  forgetToken();
  byId("token-form").hidden = false;
  byId("token").focus();
}

byId("token-form").addEventListener("submit", event => {
  event.preventDefault();
  setToken(byId("token").value.trim());
  byId("token").value = "";
  begin({ anew: true });
});

const dark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
const drawTheme = () => byId("theme").setAttribute("aria-pressed", isDark());
byId("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  localStorage.setItem("adtrack.theme", document.documentElement.dataset.theme);
  drawTheme();
});
dark.addEventListener("change", drawTheme);

// ---- the start

const lookAtHealth = followHealth(explained => {
  lag = explained;
  notices();
});
const loadNames = followNames(draw);

function begin({ anew }) {
  if (anew) show();
  else follow();
  lookAtHealth();
  loadNames();
}

say("foot", `Times in ${zone}`);
drawTheme();
begin({ anew: true });
setInterval(tick, 1_000);
setInterval(loadRate, rateEveryMs);
setInterval(loadGroups, groupsEveryMs);

// A browser opens few connections to one server: a page that nobody sees holds none.
function pause() {
  stream?.close();
  stream = null;
}
function resume() {
  if (stream === null) begin({ anew: false });
}
document.addEventListener("visibilitychange", () => (document.hidden ? pause() : resume()));
