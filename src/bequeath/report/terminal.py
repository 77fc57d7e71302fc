"""What a terminal shows: a run's findings, how far it is, what it would take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console, ConsoleRenderable
from rich.markup import escape
from rich.table import Table

from bequeath.printable import all_printable
from bequeath.report.models import compared
from bequeath.report.tables import named
from bequeath.report.text import corrected, likelihood, measured, percent, why_not


def show_findings(findings: dict[str, Any]) -> None:
    """Print the results: sentences, shares with their levels, verdicts, and what is missing."""
    findings = all_printable(findings)
    called = compared(findings)
    after = escape(called["after"].name)
    control = escape(called["control"].name) if "control" in called else None
    summary = findings["summary"]
    if findings["missing"]:
        _print(f"[bold]Incomplete.[/bold] {escape(findings['warnings'][0])}")
    _print(escape(summary["compared"]))
    _print(_shares(findings))
    reasons = _reasons(findings)
    for reason, names in reasons.items():
        _print(f"{escape(', '.join(names))}: [bold]not measurable:[/bold] {escape(reason)}.")
    _print(_about(findings, after, control))
    for text in summary["findings"]:
        _print(f"[bold]{escape(text)}[/bold]")
    for text in summary["not_measurable"]:
        if not any(reason in text for reason in reasons):
            _print(f"[bold]Not measurable.[/bold] {escape(text)}")
    if findings["dynamics"]:
        _print(_half_way(findings["dynamics"], after, control))
    for name, claim in findings["claims"].items():
        _print(f"[bold]{name} {claim['verdict']}.[/bold] {escape(claim['text'])}")
        for reading, text in claim["differs"].items():
            what = "Whether little is preserved, by" if name == "F1" else "By"
            _print(f"   {what} another reading ({escape(named(reading))}): {escape(text)}.")
    for text in summary["sure"]:
        _print(f"[dim]{escape(text)}[/dim]")


def _shares(findings: dict[str, Any]) -> Table:
    heads = ("share", "corrected [95%]", "p", "observed", "by chance", "same model\nagain")
    table = Table(*heads, title=escape(findings["study"]["name"]))
    for name, share in findings["knowledge"]["shares"].items():
        counted = [percent(share[key]) for key in ("observed", "floor", "ceiling")]
        if measured(share):
            p = likelihood(share).removeprefix("p ").removeprefix("= ")
            table.add_row(escape(name), f"[bold]{escape(corrected(share))}[/bold]", p, *counted)
        else:
            table.add_row(escape(name), "not measurable", "", *counted)
    return table


def _reasons(findings: dict[str, Any]) -> dict[str, list[str]]:
    """The shares that are not measurable, by reason."""
    names_by_reason: dict[str, list[str]] = {}
    for name, share in findings["knowledge"]["shares"].items():
        if not measured(share):
            names_by_reason.setdefault(why_not(share), []).append(name)
    return names_by_reason


def _about(findings: dict[str, Any], after: str, control: str | None) -> str:
    before = escape(compared(findings)["before"].name)
    relearned = f" Relearned (R): the part of the preserved that is in {control}, too." if control else ""
    return (
        f"Preserved: in {before} and in {after}. Discarded: in {before} alone. New: in {after} alone.{relearned} "
        "Corrected: 0% is chance, 100% is the same model read again; for discarded and new it is the other way round."
    )


def _half_way(dynamics: dict[str, Any], after: str, control: str | None) -> str:
    passages = ", ".join(
        f"{escape(name)} at step {escape(_shown(course['first_passage'], rounded))}"
        for name, course in dynamics["courses"].items()
    )
    text = f"Corrected similarity of {dynamics['level']} to its own final knowledge: {passages}."
    if dynamics["lead"]:
        times = escape(_shown(dynamics["lead"]["steps"], rounded))
        text += f" {control} takes {times} times as many steps as {after}."
    return text


def show_progress(status: dict[str, Any]) -> None:
    """Print the progress of a run: `status` is the content of ``status.json`` with the present ``state``."""
    status = all_printable(status)
    table = Table(
        "stage", "done", "failed", "of", "rate", "time so far", "time left", title=escape(_state(status))
    )
    for stage in status["stages"]:
        left = duration(stage["left"]) if status["state"] == "running" else ""
        rate = "" if stage["rate"] is None else f"{rounded(stage['rate'])}/s"
        counts = (str(stage["done"]), str(stage["failed"]), str(stage["total"]))
        table.add_row(escape(stage["stage"]), *counts, rate, duration(stage["seconds"]), left)
        for model, (done, total) in stage["by_model"].items():
            table.add_row(escape(f"  {model}"), str(done), "", str(total), "", "", "")
    _print(table)


def _state(status: dict[str, Any]) -> str:
    where = f"process {status['pid']} on {status['host']}"
    words = {
        "running": f"running: {where}, since {status['started']}",
        "interrupted": f"interrupted: {where} is gone, last seen {status['updated']}; start it again to go on",
        "stopped": f"stopped at {status['updated']}; start it again to go on",
        "failed": f"failed at {status['updated']}: {status['error']}",
        "incomplete": f"ended at {status['updated']}, with something missing",
        "finished": f"finished at {status['updated']}",
    }
    return words[status["state"]]


def show_forecast(forecast: dict[str, Any]) -> None:
    """Print a forecast, as `Forecast.to_dict` gives it."""
    forecast = all_printable(forecast)
    table = Table("", "", title="What this run would take", show_header=False)
    up_to = "up to " if forecast["at_most"] else ""
    table.add_row("value tables", f"{forecast['tables']:,} to do, {forecast['tables_done']:,} done")
    table.add_row("masks of each", f"{up_to}{forecast['masks']:,}")
    table.add_row("evaluations of a model", f"{up_to}{forecast['evaluations']:,}")
    for model, rate in forecast["rates"].items():
        table.add_row(escape(f"  {model}"), f"{rounded(rate)} masked inputs a second and worker")
    table.add_row("disk", f"up to {size(forecast['bytes'])} ({size(forecast['bytes_free'])} free)")
    for stage, seconds in forecast["seconds"].items():
        table.add_row(f"time: {stage}", duration(seconds))
    table.add_section()
    total = sum(forecast["seconds"].values())
    about = "at most about" if forecast["at_most"] else "about"
    table.add_row("time in all", f"{about} {duration(total)} with {forecast['workers']} worker(s)")
    _print(table)


def duration(seconds: float | None) -> str:
    """Seconds in words."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


def rounded(number: float) -> str:
    """Three digits, or all digits before the decimal point."""
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def size(count: float) -> str:
    """Bytes in words."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _shown(estimate: dict[str, Any], show: Callable[[float], str]) -> str:
    if estimate["mean"] is None:
        return "-"
    text = show(estimate["mean"])
    if estimate["low"] is not None:
        text += f" [{show(estimate['low'])}, {show(estimate['high'])}]"
    return text


def _print(what: ConsoleRenderable | str) -> None:
    Console().print(what, highlight=False)
