#!/usr/bin/env python3
"""Looks at HTML reports in headless Chromium: look.py [-shots DIR] FILE.html ...

Each page is loaded at two widths, light and dark. It fails on messages of the console, on requests for
anything but the file itself, on a page that scrolls sideways, on images that do not show, on text
with too little contrast, and on a table that a click on its heads does not sort. With -shots the
pictures of the pages are left in DIR. Needs Chromium (Debian: apt-get install chromium) or the path of
one in $CHROMIUM, and Python 3 without packages."""

import argparse
import base64
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time

WIDTHS = (400, 1280)
FLAGS = """--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking
--disable-component-update --disable-sync --hide-scrollbars --remote-debugging-pipe""".split()

# What the page itself can say. Sums are compared as sRGB contrast (WCAG 2, section 1.4.3).
LOOK = r"""
(() => {
  const bad = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    const wide = Array.from(document.querySelectorAll('body *')).filter(e => e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest('.scroll, pre'));
    bad.push(`scrolls sideways: ${root.scrollWidth} > ${root.clientWidth}, for ${wide.slice(0, 3).map(e => e.tagName + '.' + e.className)}`);
  }
  for (const img of document.images) {
    if (!img.complete || img.naturalWidth === 0) bad.push(`image ${img.alt} does not show`);
    if (!img.alt) bad.push('an image has no alternative text');
  }
  const rgb = s => (s.match(/[\d.]+/g) || []).map(Number);
  const light = c => c.slice(0, 3).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] > 0) return c; } return [255, 255, 255]; };
  const seen = new Set();
  for (const e of document.querySelectorAll('body *')) {
    if (!Array.from(e.childNodes).some(n => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length || ['SCRIPT', 'STYLE'].includes(e.tagName)) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05), name = e.tagName + '.' + e.className;
    if (ratio < 4.5 && !seen.has(name)) { seen.add(name); bad.push(`contrast ${ratio.toFixed(2)} of ${name}: ${e.textContent.trim().slice(0, 30)}`); }
  }
  const ids = new Set(Array.from(document.querySelectorAll('[id]'), e => e.id));
  for (const a of document.querySelectorAll('nav a')) if (!ids.has(a.getAttribute('href').slice(1))) bad.push(`${a.textContent} leads nowhere`);
  if (!document.querySelector('h1') || !document.querySelectorAll('nav a').length) bad.push('no heading or no contents');
  return bad;
})()
"""

# A real click on each head, twice, and the order of the column compared.
TABLES = r"""
(() => {
  const bad = [];
  let sorted = 0;
  document.querySelectorAll('table').forEach((table, t) => {
    const rows = () => Array.from(table.tBodies[0].rows);
    const before = rows().length;
    Array.from(table.tHead.rows[0].cells).forEach((head, k) => {
      const order = {};
      for (const way of ['ascending', 'descending']) {
        head.querySelector('button').click();
        if (head.getAttribute('aria-sort') !== way) bad.push(`table ${t}: a click on ${head.textContent} does not sort it ${way}`);
        order[way] = rows().map(r => (r.cells[k].dataset.sort || r.cells[k].textContent).trim());
      }
      const number = s => /^[+-]?[\d,]*\.?\d+$/.test(s) ? Number(s.replaceAll(',', '')) : NaN;
      const up = order.ascending.filter(s => s !== '-').map(number), down = order.descending.filter(s => s !== '-').map(number);
      if (up.length && !up.some(Number.isNaN)) {
        if (up.some((v, i) => i && v < up[i - 1])) bad.push(`table ${t}: ${head.textContent} is not ascending: ${up}`);
        if (down.some((v, i) => i && v > down[i - 1])) bad.push(`table ${t}: ${head.textContent} is not descending: ${down}`);
        sorted++;
      }
      for (const list of Object.values(order)) {
        const first = list.indexOf('-');
        if (first >= 0 && list.slice(first).some(s => s !== '-')) bad.push(`table ${t}: what is absent does not come last in ${head.textContent}`);
      }
    });
    if (rows().length !== before) bad.push(`table ${t}: lost rows`);
  });
  if (!sorted) bad.push('no table has a column of numbers that sorts');
  return bad;
})()
"""


class Browser:
    """Chromium, spoken to through a pipe."""

    def __init__(self, binary, profile):
        to_read, self.out = os.pipe()
        self.inn, to_write = os.pipe()

        def pipes():  # Chromium reads from 3 and writes to 4
            a, b = os.dup(to_read), os.dup(to_write)
            os.dup2(a, 3)
            os.dup2(b, 4)

        self.process = subprocess.Popen([binary, *FLAGS, f"--user-data-dir={profile}", "about:blank"], preexec_fn=pipes,
                                        close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self.number, self.buffer, self.events = 0, b"", []

    def read(self, seconds):
        """The next message, None when none came in time."""
        end = time.monotonic() + seconds
        while b"\0" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.inn], [], [], left)[0]:
                return None
            part = os.read(self.inn, 1 << 20)
            if not part:
                sys.exit("look.py: Chromium ended")
            self.buffer += part
        text, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(text)

    def call(self, method, session=None, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.out, data):]
        while True:
            m = self.read(60)
            if m is None:
                sys.exit(f"look.py: no answer to {method} within a minute")
            if m.get("id") == self.number:
                if "error" in m:
                    sys.exit(f"look.py: {method}: {m['error']['message']}")
                return m["result"]
            self.events.append(m)

    def until(self, method):
        """Waits for an event."""
        end = time.monotonic() + 60
        while not any(e.get("method") == method for e in self.events):
            m = self.read(max(0, end - time.monotonic()))
            if m is None:
                sys.exit(f"look.py: no {method} within a minute")
            self.events.append(m)

    def evaluate(self, session, expression):
        r = self.call("Runtime.evaluate", session, expression=expression, returnByValue=True)
        if "exceptionDetails" in r:
            return [json.dumps(r["exceptionDetails"])[:500]]
        return r["result"]["value"]

    def close(self):
        self.call("Browser.close")
        self.process.wait(30)


def look(browser, file, width, scheme, shots):
    """Looks at one page; returns what is wrong with it."""
    url = pathlib.Path(file).resolve().as_uri()
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Network"):
        browser.call(domain + ".enable", session)
    browser.call("Emulation.setDeviceMetricsOverride", session, width=width, height=900, deviceScaleFactor=1, mobile=False)
    browser.call("Emulation.setEmulatedMedia", session, features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.events.clear()
    browser.call("Page.navigate", session, url=url)
    browser.until("Page.loadEventFired")
    bad = list(browser.evaluate(session, LOOK))
    if shots:
        size = browser.call("Page.getLayoutMetrics", session)["cssContentSize"]
        shot = browser.call("Page.captureScreenshot", session, captureBeyondViewport=True,
                            clip={"x": 0, "y": 0, "width": width, "height": min(size["height"], 12000), "scale": 1})
        name = f"{pathlib.Path(file).stem}-{width}-{scheme}.png"
        pathlib.Path(shots, name).write_bytes(base64.b64decode(shot["data"]))
    bad += browser.evaluate(session, TABLES)
    bad += [f"after sorting: {b}" for b in browser.evaluate(session, LOOK) if b not in bad]
    while (m := browser.read(0.2)) is not None:
        browser.events.append(m)
    for e in browser.events:
        p = e.get("params", {})
        if e.get("method") == "Network.requestWillBeSent" and not p["request"]["url"].startswith(("data:", url)):
            bad.append("asks for " + p["request"]["url"])
        elif e.get("method") == "Runtime.consoleAPICalled":
            bad.append("console: " + " ".join(str(a.get("value", a.get("description"))) for a in p["args"]))
        elif e.get("method") == "Runtime.exceptionThrown":
            bad.append("exception: " + p["exceptionDetails"].get("exception", {}).get("description", p["exceptionDetails"]["text"]))
        elif e.get("method") == "Log.entryAdded":
            bad.append("log: " + p["entry"]["text"])
    browser.call("Target.closeTarget", targetId=target)
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-shots", help="folder for pictures of the pages")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    binary = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not binary:
        sys.exit("look.py: no Chromium found: install it (Debian: apt-get install chromium), or name one in $CHROMIUM")
    if args.shots:
        os.makedirs(args.shots, exist_ok=True)
    failed = False
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(binary, profile)
        try:
            for file in args.files:
                for width in WIDTHS:
                    for scheme in ("light", "dark"):
                        bad = look(browser, file, width, scheme, args.shots)
                        failed = failed or bool(bad)
                        print(f"{file} at {width}, {scheme}: {'; '.join(bad) or 'fine'}")
        finally:
            browser.close()
    sys.exit(failed)


if __name__ == "__main__":
    main()
