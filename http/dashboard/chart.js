// The chart of a series: columns with axes, drawn as SVG, and a read-out of one point at a time by pointer and by arrow keys. It is a
// slider to a screen reader, and a table beside it has the same numbers.

import { byId, clock, count, counted, day, element, moment, rate, say, short, svg } from "./format.js";

const height = 220;
const room = { top: 10, right: 8, bottom: 26, left: 48 };

export const metrics = {
  clicks: { name: "Clicks", of: point => point.clicks, axis: short },
  impressions: { name: "Impressions", of: point => point.impressions, axis: short },
  ctr: { name: "Click-through rate", of: point => (point.impressions > 0 ? point.clicks / point.impressions : null), axis: rate },
  playbacks: { name: "Playbacks", of: point => point.playbacks, axis: short },
};

// 1, 2 or 5 times a power of ten: the distance of about four lines up to `max`.
function niceStep(max, whole) {
  const raw = max / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(n => n * power).find(n => n >= raw * 0.999);
  return whole ? Math.max(1, step) : step;
}

export class Chart {
  constructor() {
    this.box = byId("chart");
    this.points = [];
    this.step = "minute";
    this.metric = "clicks";
    this.at = -1; // the point that is read out
    new ResizeObserver(() => this.draw()).observe(this.box);
    this.box.addEventListener("keydown", event => this.key(event));
    this.box.addEventListener("pointermove", event => this.point(event));
    this.box.addEventListener("pointerdown", event => this.point(event));
    this.box.addEventListener("pointerleave", () => document.activeElement !== this.box && this.read(-1));
    this.box.addEventListener("focus", () => this.at < 0 && this.read(this.points.length - 1));
    this.box.addEventListener("blur", () => this.read(-1));
  }

  // `points`: {start, end, clicks, impressions, playbacks, invalid} with Dates, in order.
  show(points, step) {
    const read = this.points[this.at]?.start.getTime();
    this.box.classList.remove("waiting");
    this.points = points;
    this.step = step;
    this.at = points.findIndex(point => point.start.getTime() === read);
    this.draw();
    this.table();
    this.read(this.at);
  }

  // Other points will come: those that were shown are of another question.
  wait() {
    this.points = [];
    this.table();
    this.read(-1);
    say("readout", "Loading");
    this.box.classList.add("waiting");
  }

  choose(metric) {
    this.metric = metric;
    this.draw();
    this.read(this.at);
  }

  when(point) {
    if (this.step === "day") return day(point.start);
    return `${this.manyDays() ? moment(point.start) : clock(point.start)} – ${clock(point.end)}`;
  }

  manyDays() {
    return this.points.length > 0 && this.points.at(-1).end - this.points[0].start > 86_400_000;
  }

  key(event) {
    const last = this.points.length - 1;
    const to = {
      ArrowLeft: this.at - 1,
      ArrowDown: this.at - 1,
      ArrowRight: this.at + 1,
      ArrowUp: this.at + 1,
      PageDown: this.at - 10,
      PageUp: this.at + 10,
      Home: 0,
      End: last,
    }[event.key];
    if (event.key === "Escape") this.read(-1);
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.read(Math.max(0, Math.min(last, to)));
  }

  point(event) {
    const inside = event.clientX - this.box.getBoundingClientRect().left - room.left;
    const index = Math.floor((inside / this.plotWidth) * this.points.length);
    this.read(index >= 0 && index < this.points.length ? index : -1);
  }

  read(index) {
    this.at = index;
    const point = this.points[index];
    this.cursor?.setAttribute("visibility", point ? "visible" : "hidden");
    this.box.setAttribute("aria-valuemax", Math.max(0, this.points.length - 1));
    this.box.setAttribute("aria-valuenow", Math.max(0, index));
    if (!point) {
      const total = metrics[this.metric];
      say("readout", this.points.length > 0 ? `${total.name} by ${this.step}. Point at it, or use the arrow keys, to read a value.` : "");
      this.box.setAttribute("aria-valuetext", "no point chosen");
      return;
    }
    const width = this.plotWidth / this.points.length;
    this.cursor?.setAttribute("x", room.left + index * width);
    this.cursor?.setAttribute("width", Math.max(1, width));
    const ctr = metrics.ctr.of(point);
    const text =
      `${this.when(point)}: ${counted(point.clicks, "click")}, ${counted(point.impressions, "impression")}` +
      `${ctr === null ? "" : `, CTR ${rate(ctr)}`}, ${counted(point.playbacks, "playback")}, ${counted(point.invalid, "invalid click")}`;
    say("readout", text);
    this.box.setAttribute("aria-valuetext", text);
  }

  draw() {
    const { name, of, axis } = metrics[this.metric];
    const width = Math.max(this.box.clientWidth, 200);
    this.plotWidth = width - room.left - room.right;
    const plotHeight = height - room.top - room.bottom;
    const values = this.points.map(of);
    const step = niceStep(Math.max(...values.map(value => value ?? 0), this.metric === "ctr" ? 0.0001 : 1), this.metric !== "ctr");
    const lines = Math.max(1, Math.ceil(Math.max(...values.map(value => value ?? 0), step) / step - 0.001));
    const y = value => room.top + plotHeight * (1 - value / (lines * step));
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true", focusable: "false" });
    for (let line = 0; line <= lines; ++line) {
      const at = Math.round(y(line * step)) + 0.5;
      picture.append(svg("line", { class: line ? "grid" : "axis", x1: room.left, x2: width - room.right, y1: at, y2: at }));
      picture.append(svg("text", { class: "label", x: room.left - 8, y: at + 4, "text-anchor": "end" }, axis(line * step)));
    }
    this.cursor = svg("rect", { class: "cursor", x: 0, y: room.top, width: 1, height: plotHeight, visibility: "hidden" });
    picture.append(this.cursor);
    const each = this.plotWidth / Math.max(1, this.points.length);
    const gap = each > 6 ? Math.min(4, each * 0.2) : each > 2 ? 0.5 : 0;
    values.forEach((value, index) => {
      if (value === null || value === 0) return;
      const top = Math.min(y(value), y(0) - 1.5); // something is never drawn as nothing
      picture.append(
        svg("rect", {
          class: "column",
          x: (room.left + index * each + gap / 2).toFixed(2),
          y: top.toFixed(2),
          width: (each - gap).toFixed(2),
          height: (y(0) - top).toFixed(2),
          rx: each > 8 ? 2 : 0,
        }),
      );
    });
    this.ticks(picture, width, each);
    this.box.replaceChildren(picture);
    this.box.setAttribute("aria-label", `${name} by ${this.step}`);
  }

  // Times under the axis: at whole hours, quarters or days where there are any, so many as fit.
  ticks(picture, width, each) {
    const wanted = Math.max(2, Math.floor(this.plotWidth / 60));
    const every = Math.max(1, Math.ceil(this.points.length / wanted));
    const nice = [1, 2, 5, 10, 15, 20, 30, 60, 120].find(n => n >= every) ?? every;
    const steps = { minute: nice, hour: [1, 2, 3, 6, 12, 24, 48].find(n => n >= every) ?? every, day: every };
    const interval = steps[this.step];
    let free = 0;
    this.points.forEach((point, index) => {
      const hours = this.points.length > 0 && Number(clock(point.start).slice(0, 2));
      const minutes = Number(clock(point.start).slice(3));
      const whole = {
        minute: hours * 60 + minutes,
        hour: Math.round(point.start.getTime() / 3_600_000 - point.start.getTimezoneOffset() / 60),
        day: index,
      }[this.step];
      // The first point of a trailing window begins within its minute or hour; it is not that minute's tick.
      const partial = index === 0 && this.step !== "day" && point.start.getTime() % (this.step === "hour" ? 900_000 : 60_000) !== 0;
      if (partial || whole % interval !== 0) return;
      const text =
        this.step === "day" || (interval >= 24 && this.step === "hour")
          ? day(point.start)
          : this.manyDays() && hours === 0
            ? day(point.start)
            : clock(point.start);
      const x = room.left + (this.step === "day" ? index + 0.5 : index) * each;
      const half = text.length * 3.5 + 4;
      if (x - half < free || x + half > width) return;
      free = x + half + 6;
      picture.append(svg("line", { class: "axis", x1: x, x2: x, y1: height - room.bottom, y2: height - room.bottom + 4 }));
      picture.append(svg("text", { class: "label", x, y: height - 7, "text-anchor": "middle" }, text));
    });
  }

  table() {
    say("series-caption", `Clicks, impressions and playbacks by ${this.step}`);
    byId("series-rows").replaceChildren(
      ...this.points.map(point =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, this.step === "day" ? day(point.start) : moment(point.start)),
          ...[count(point.clicks), count(point.impressions), rate(metrics.ctr.of(point)), count(point.playbacks), count(point.invalid)].map(
            text => element("td", {}, text),
          ),
        ),
      ),
    );
  }
}
