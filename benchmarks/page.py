"""How heavy a run's page is, and how soon it is there, in Chromium: python benchmarks/page.py runs/compare

Prints a table for docs/performance.md: bytes, samples, first paint and time to open a sample, each the median of five
fresh pages. Needs playwright and Debian's Chromium.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

REPEATS = 5
# Opens another sample, and waits until its picture has players.
OPEN = """() => new Promise((done) => {
  const start = performance.now();
  document.querySelectorAll(".strip button")[1].click();
  const drawn = () => document.querySelector("article [data-player]");
  const look = () => drawn() ? done(performance.now() - start) : requestAnimationFrame(look);
  look();
})"""


def first_paint(browser: Browser, address: str) -> tuple[float, float]:
    """Milliseconds from the start of loading to the first paint, and from a click to an open sample."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(address)
    page.wait_for_function("performance.getEntriesByType('paint').length > 0")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    opened = page.evaluate(OPEN)
    page.context.close()
    return float(paint), float(opened)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="folders of finished runs")
    args = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    print("| run | samples | findings.json | page | first paint | sample opened |")
    print("|---|---|---|---|---|---|")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for run in args.runs:
            page, findings = run / "report.html", run / "findings.json"
            samples = len(json.loads(findings.read_text())["samples"])
            times = [first_paint(browser, page.resolve().as_uri()) for _ in range(REPEATS)]
            paint, opened = (statistics.median(column) for column in zip(*times, strict=True))
            sizes = [f"{file.stat().st_size / 1e6:.2f} MB" for file in (findings, page)]
            print(f"| {run.name} | {samples} | {sizes[0]} | {sizes[1]} | {paint:.0f} ms | {opened:.0f} ms |")


if __name__ == "__main__":
    main()
