#!/usr/bin/env python3
"""Writes dashboards/*.json, one for each module-level dashboard of panels.py; the suite `monitoring` holds the files against it.
Grafana 10 and later. make_dashboards.py [FOLDER] writes to another folder."""

import json
import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from panels import DASHBOARDS  # noqa: E402

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24


def _variable(name, label, query, **more):
    return {"name": name, "label": label, "type": "query", "datasource": SOURCE, "refresh": 2, "sort": 1,
            "query": {"query": query, "refId": name}, **more}


def _variables(url):
    found = [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1},
        _variable("job", "Job", "label_values(adtrack_build_info, job)"),
        _variable("instance", "Node", 'label_values(adtrack_build_info{job="$job"}, instance)', multi=True, includeAll=True, allValue=".+",
                  current={"text": "All", "value": "$__all"}),
    ]
    if url:
        found.append({"name": "adtrack", "label": "adtrack's address", "type": "textbox", "query": url,
                      "current": {"text": url, "value": url}})
    return found


def _link(kind, title, **more):
    return {"type": kind, "title": title, "icon": "external link", "tooltip": "", "tags": [], "asDropdown": False, "includeVars": False, "keepTime": False,
            "targetBlank": False, **more}


def _thresholds(steps):
    """("green", 10, "red"): green below 10, red from there on."""
    return {"mode": "absolute", "steps": [{"color": color, "value": steps[2 * i - 1] if i else None} for i, color in enumerate(steps[::2])]}


def _options(kind):
    if kind == "stat":
        return {"colorMode": "background", "graphMode": "area", "textMode": "auto", "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    if kind == "timeseries":
        return {"legend": {"displayMode": "table", "placement": "bottom", "showLegend": True, "calcs": ["lastNotNull", "max"]},
                "tooltip": {"mode": "multi", "sort": "desc"}}
    if kind == "heatmap":
        return {"calculate": False, "yAxis": {"unit": "s"}, "color": {"mode": "scheme", "scheme": "Blues", "steps": 64}, "cellGap": 1}
    return {"showHeader": True, "cellHeight": "sm"}


def _panel(panel, number, x, y):
    kind, unit = panel["kind"], panel["unit"]
    targets = []
    for i, (legend, expr) in enumerate(panel["queries"]):
        instant = kind == "table" or "$__range" in expr  # one value for the whole time, not one a step
        target = {"refId": chr(ord("A") + i), "datasource": SOURCE, "editorMode": "code", "expr": expr, "legendFormat": legend,
                  "instant": instant, "range": not instant}
        target["format"] = {"table": "table", "heatmap": "heatmap"}.get(kind, "time_series")
        targets.append(target)
    defaults = {"unit": unit, "thresholds": _thresholds(panel["thresholds"] or ("green",))}
    if panel["min"] is not None:
        defaults["min"] = panel["min"]
    if panel["max"] is not None:
        defaults["max"] = panel["max"]
    if panel["decimals"] is not None:
        defaults["decimals"] = panel["decimals"]
    if kind == "timeseries":
        defaults["custom"] = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 30 if panel["stack"] else 10, "showPoints": "never",
                              "stacking": {"mode": "normal" if panel["stack"] else "none", "group": "A"},
                              "thresholdsStyle": {"mode": "line" if panel["thresholds"] else "off"}}
    return {"id": number, "type": kind, "title": panel["title"], "description": panel["description"], "datasource": SOURCE,
            "gridPos": {"h": panel["height"], "w": panel["width"], "x": x, "y": y}, "targets": targets,
            "fieldConfig": {"defaults": defaults, "overrides": []}, "options": _options(kind)}


def dashboard(spec):
    """The dashboard's JSON: rows of panels, which fill a row of the grid from left to right."""
    panels, number, y = [], 0, 0
    for title, content in spec["rows"]:
        number += 1
        panels.append({"id": number, "type": "row", "title": title, "collapsed": False, "panels": [], "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": y}})
        y, x, tallest = y + 1, 0, 0
        for panel in content:
            number += 1
            if x + panel["width"] > WIDTH:
                y, x, tallest = y + tallest, 0, 0
            panels.append(_panel(panel, number, x, y))
            x, tallest = x + panel["width"], max(tallest, panel["height"])
        y += tallest
    links = [_link("dashboards", "adtrack", tags=["adtrack"], asDropdown=True, includeVars=True, keepTime=True)]
    if spec["url"]:
        links.append(_link("link", "Figures by ad", url="${adtrack}", targetBlank=True, tooltip="The dashboard page of a node"))
    return {"uid": spec["uid"], "title": spec["title"], "description": spec["description"], "tags": ["adtrack"], "schemaVersion": 39, "version": 1,
            "editable": True, "graphTooltip": 1, "refresh": "30s", "time": {"from": spec["since"], "to": "now"}, "timezone": "",
            "templating": {"list": _variables(spec["url"])}, "annotations": {"list": []}, "links": links, "panels": panels}


def _text(value):
    """JSON with a line for each member of the dashboard and of a panel, so that a change is readable."""
    line = lambda each: json.dumps(each, ensure_ascii=False)
    members = []
    for name, each in value.items():
        if name != "panels":
            members.append(f"  {line(name)}: {line(each)}")
            continue
        panels = []
        for panel in each:
            inner = []
            for key, of in panel.items():
                shown = line(of) if key != "targets" else "[\n        " + ",\n        ".join(line(target) for target in of) + "\n      ]"
                inner.append(f"      {line(key)}: {shown}")
            panels.append("    {\n" + ",\n".join(inner) + "\n    }")
        members.append('  "panels": [\n' + ",\n".join(panels) + "\n  ]")
    return "{\n" + ",\n".join(members) + "\n}\n"


def texts():
    """{file name: what it holds}"""
    return {name: _text(dashboard(spec)) for name, spec in DASHBOARDS.items()}


def main():
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__)
        return 0 if len(sys.argv) == 2 else 2
    folder = sys.argv[1] if len(sys.argv) == 2 else os.path.join(HERE, "dashboards")
    for name, text in texts().items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
