"""The dashboard for everybody: by keyboard, to a screen reader, in light and dark, from a telephone to a wide screen. The look of it is judged
by people: screenshots go to DASHBOARD_SHOTS when it is set."""

import time

from browser import ENTER, LEFT, RIGHT, TAB
from dashboard_page import LIVE, ads_with_events, close, open_page, page_shows, shot, sums_of
from harness import AGENT, Suite, check, equal

suite = Suite("dashboard_access", "GET / by keyboard alone, read out, in both colours, at any width", close=close)

# Of the accessibility tree, what must have a name.
NAMED = ("button", "link", "textbox", "radio", "combobox", "slider", "DateTime", "table", "form")

TABBABLE = """return [...document.querySelectorAll('a[href], button, input, select, [tabindex="0"]')]
    .filter(each => each.checkVisibility() && !each.disabled && (each.type !== 'radio' || each.checked))
    .map(each => each.id || each.value || each.dataset.sort || each.getAttribute('href'))"""
FOCUSED = """const at = document.activeElement;
    const ring = at.type === 'radio' ? at.nextElementSibling : at;
    const style = getComputedStyle(ring);
    const box = ring.getBoundingClientRect();
    return [at.id || at.value || at.dataset.sort || at.getAttribute('href'), style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2,
            box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight]"""


@suite.case("every control is reached by keyboard, in the page's order, with the focus in sight, and works")
def _(t):
    ads = ads_with_events(t.server)
    browser = open_page(t)
    page_shows(browser, sums_of(t.server.analytics(last="1h")))
    wanted = browser.run(TABBABLE)
    for name in ("#main", "theme", "1h", "clicks", "chart", "-click_count", "-ctr", "/openapi.json"):
        check(name in wanted, f"no control {name} among {wanted}")
    reached = []
    for _ in wanted:
        browser.keys(TAB)
        name, ring, inside = browser.run(FOCUSED)
        check(ring, f"the focus on {name} cannot be seen")
        check(inside, f"{name} has the focus out of sight")
        reached.append(name)
    equal(reached, wanted, "the order of the tabulator")
    browser.keys(*[TAB] * 5)
    browser.run("document.getElementById('chart').focus()")
    last = browser.wait("return document.getElementById('readout').textContent.includes(': ') && document.getElementById('readout').textContent")
    browser.keys(LEFT, LEFT)
    point = browser.run("""const chart = document.getElementById('chart');
        return [chart.getAttribute('aria-valuetext'), Number(chart.getAttribute('aria-valuenow')), Number(chart.getAttribute('aria-valuemax'))]""")
    check(point[0] != last and point[1] == point[2] - 2 and "click" in point[0], f"the point that the arrow keys read: {point}")
    equal(browser.text("#readout"), point[0], "the read-out")
    browser.keys(RIGHT, RIGHT)
    equal(browser.text("#readout"), last, "the read-out at the end")
    browser.run("document.querySelector(arguments[0]).focus()", f"#ads-rows a[href*='ad={ads[0]}&']")
    time.sleep(1.5)  # numbers that change do not take the focus away
    t.server.click(event_id=f"focus-{time.time()}", ad_id=4711, user_ip="203.0.113.77", agent=AGENT)
    time.sleep(1.5)
    browser.keys(ENTER)
    browser.wait("return document.querySelector('h1').textContent === 'Spring sale'")
    browser.run("document.querySelector('[name=last]:checked').focus()")
    browser.keys(RIGHT)
    browser.wait("return new URL(location.href).searchParams.get('last') === '24h'")
    browser.run("document.getElementById('theme').focus()")
    browser.keys(" ")
    equal(browser.run("return document.documentElement.dataset.theme"), "dark", "colours after the space bar")
    browser.run("localStorage.clear()")


@suite.case("a screen reader is told a name for each control, landmarks, headings in order, and of the connection only")
def _(t):
    ads = ads_with_events(t.server)
    for path in ("/", f"/?ad={ads[0]}", "/?since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z"):
        browser = open_page(t, path)
        browser.wait("return document.getElementById('clicks').textContent !== '–'")
        browser.run("document.getElementById('token-form').hidden = false")
        nodes = [node for node in browser.cdp("Accessibility.getFullAXTree", {})["nodes"] if not node.get("ignored")]
        found = [(node["role"]["value"], node.get("name", {}).get("value", "").strip()) for node in nodes]
        controls = [each for each in found if each[0] in NAMED]
        check(len(controls) >= 20, f"controls: {controls}")
        equal([each for each in controls if not each[1]], [], "controls without a name")
        roles = [role for role, _ in found]
        for role in ("banner", "main", "contentinfo", "status"):
            equal(roles.count(role), 1, f"{role} of {path}")
        equal(roles.count("slider"), 0 if "since" in path else 1, f"charts of {path}")
    browser = open_page(t)
    browser.wait("return document.querySelectorAll('#series-rows tr').length > 0")
    levels = browser.run("return [...document.querySelectorAll('h1, h2, h3')].filter(each => each.checkVisibility()).map(each => Number(each.tagName[1]))")
    equal(levels.count(1), 1, "headings of the first level")
    check(all(later <= earlier + 1 for earlier, later in zip(levels, levels[1:])), f"levels of headings: {levels}")
    equal(browser.run("return [...document.querySelectorAll('[aria-live], [role=alert], [role=status]')].map(each => each.id)"), ["connection"],
          "what is read out by itself")
    equal(browser.run("return document.documentElement.lang"), "en", "language")


# Puts each colour that is rarely seen on the page.
ALL_STATES = """
document.getElementById('token-form').hidden = false;
document.getElementById('custom-error').hidden = false;
document.getElementById('custom-error').textContent = 'The window must begin before it ends.';
document.getElementById('notices').hidden = false;
const notice = document.createElement('li');
notice.className = 'notice';
notice.textContent = 'These numbers are not real time.';
document.getElementById('notices').append(notice);
document.querySelector('.connection').dataset.state = 'lost';
document.querySelectorAll('#shards li, #node dd').forEach((each, n) => each.dataset.state = ['good', 'warn', 'bad'][n % 3]);
"""

CONTRAST = """
const colour = text => {
  const parts = text.match(/[-0-9.e]+/g).map(Number);
  if (text.startsWith('color(')) return [...parts.slice(0, 3).map(each => each * 255), parts[3] ?? 1];
  return [...parts.slice(0, 3), parts[3] ?? 1];
};
const over = (top, below) => [0, 1, 2].map(n => top[n] * top[3] + below[n] * (1 - top[3])).concat(1);
const light = c => {
  const [r, g, b] = c.slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((m, n) => n - m); return (x + 0.05) / (y + 0.05); };
const behind = element => {
  const layers = [];
  for (let at = element; at; at = at.parentElement) layers.push(colour(getComputedStyle(at).backgroundColor));
  return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
};
const found = [];
let looked = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const element = node.parentElement;
  const style = getComputedStyle(element);
  if (!node.data.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
  if (element.closest('.unseen, .skip, noscript, option, script')) continue;
  const grounds = [behind(element)];
  const fill = element.closest('.bars li')?.querySelector('.fill');
  if (fill) grounds.push(over(colour(getComputedStyle(fill).backgroundColor), grounds[0]));
  let opacity = 1;
  for (let at = element; at; at = at.parentElement) opacity *= Number(getComputedStyle(at).opacity);
  const size = parseFloat(style.fontSize);
  const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
  const ink = colour(element instanceof SVGElement ? style.fill : style.color);
  for (const ground of grounds) {
    looked += 1;
    const value = ratio(over([ink[0], ink[1], ink[2], ink[3] * opacity], ground), ground);
    if (value < needed) found.push(`${value.toFixed(2)} of ${needed}: ${node.data.trim().slice(0, 40)} (${element.tagName} ${element.id})`);
  }
}
return [looked, found];
"""

OVERFLOW = """
const wide = document.documentElement.clientWidth;
const found = document.documentElement.scrollWidth > wide ? [`the page is ${document.documentElement.scrollWidth} wide`] : [];
for (const element of document.body.querySelectorAll('*')) {
  if (!element.checkVisibility() || element.closest('.unseen, .skip, noscript')) continue;
  const box = element.getBoundingClientRect();
  const name = `${element.tagName} ${element.id || element.className}`;
  if (box.width && (box.right > wide + 0.5 || box.left < -0.5)) found.push(`${name}: ${box.left} to ${box.right}`);
  const hides = getComputedStyle(element).overflowX !== 'visible' && element.tagName !== 'INPUT';
  if (hides && element.scrollWidth > element.clientWidth + 1) found.push(`${name} hides ${element.scrollWidth - element.clientWidth}`);
}
return found;
"""


def _states(t):
    """The page in each of its states, by name."""
    ads = ads_with_events(t.server)
    browser = open_page(t)
    page_shows(browser, sums_of(t.server.analytics(last="1h")))
    browser.wait("return document.querySelectorAll('#shards li').length > 0")
    yield "ads", browser
    browser = open_page(t, f"/?ad={ads[2]}&last=7d")
    page_shows(browser, sums_of(t.server.analytics(last="7d", ad_id=ads[2])))
    browser.wait("return document.querySelectorAll('#groups-rows tr').length > 0")
    yield "ad", browser
    browser = open_page(t, "/?since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z")
    browser.wait("return document.getElementById('empty').checkVisibility()")
    browser.run(ALL_STATES)
    yield "empty", browser


@suite.case("all text has a contrast of 4.5, large text of 3, in light and in dark")
def _(t):
    for name, browser in _states(t):
        for scheme in ("light", "dark"):
            browser.scheme(scheme)
            time.sleep(0.4)  # for what changes slowly
            looked, found = browser.run(CONTRAST)
            check(looked > 40, f"only {looked} texts of {name}")
            equal(found, [], f"too faint: {name} in {scheme}")
            dark = browser.run("return getComputedStyle(document.body).backgroundColor") == "rgb(16, 20, 27)"
            equal(dark, scheme == "dark", f"the colours follow the system's ({scheme})")
            shot(browser, f"{name}-{scheme}")


@suite.case("nothing is wider than a telephone of 360 pixels, nor than a tablet or a screen")
def _(t):
    for name, browser in _states(t):
        for width in (360, 700, 1000, 1280):
            browser.size(width, 780)
            time.sleep(0.3)  # the chart follows its box
            equal(browser.run(OVERFLOW), [], f"wider than {width}: {name}")
            shot(browser, f"{name}-{width}")


@suite.case("the colours that a reader chose are there the next time")
def _(t):
    browser = open_page(t)
    equal(browser.run("return document.getElementById('theme').getAttribute('aria-pressed')"), "false", "pressed")
    browser.click("#theme")
    equal(browser.run("return getComputedStyle(document.body).backgroundColor"), "rgb(16, 20, 27)", "ground")
    browser.run("location.reload()")
    browser.wait(LIVE)
    equal(browser.run("return [document.documentElement.dataset.theme, document.getElementById('theme').getAttribute('aria-pressed')]"),
          ["dark", "true"], "after a reload")
    browser.scheme("dark")
    browser.click("#theme")
    equal(browser.run("return getComputedStyle(document.body).backgroundColor"), "rgb(244, 246, 249)", "light, on a dark system")
    browser.run("localStorage.clear()")
