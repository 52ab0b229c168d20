"""The page: verdict first, then what ships, then why, then on what."""

from __future__ import annotations

from html import escape

from compress.report.gallery import gallery
from compress.report.plots import pareto_plot, sensitivity_plot
from compress.report.words import (
    accuracy,
    drop,
    duration,
    facts,
    large,
    megabytes,
    share,
    speed,
    table,
)
from compress.result import Artefact, InstructionCounts, Result, Try

__all__ = ["as_page"]

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222;
background:#fff}
h1{font-size:1.4em}h2{font-size:1.1em;margin-top:2em;border-bottom:1px solid #ccc}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
td,th{padding:.2em .6em;text-align:left;border-bottom:1px solid #e4e4e4;vertical-align:top;
font-variant-numeric:tabular-nums}
small{color:#666}.original{background:#f4f4f4}
.bad,.good{color:#fff;padding:.6em 1em;font-size:1.1em}.bad{background:#8c1c13}
.good{background:#1c6b2a}.held{color:#1c6b2a}.missed{color:#8c1c13}
.plot{width:100%;height:auto;margin:.5em 0}
pre{background:#f4f4f4;padding:.6em 1em;overflow-x:auto;white-space:pre-wrap}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(330px,1fr));gap:1em}
figure{margin:0;border:1px solid #e4e4e4;padding:.5em;overflow-wrap:anywhere}
figure:has(.three){grid-column:1/-1}figure img{max-width:100%}figcaption{font-size:.85em}
.text{font-family:ui-monospace,monospace}mark{background:#ffd9d4}
.three{display:grid;grid-template-columns:repeat(3,1fr);gap:.5em}.three svg{width:100%;height:auto}
polygon{fill:none;stroke-width:2;vector-effect:non-scaling-stroke}
.truth{stroke:#12a12f}.before{stroke:#2f6fd0}.after{stroke:#e02f2f}
.three text{font:11px system-ui,sans-serif;fill:#fff;paint-order:stroke;stroke:#000;
stroke-width:3px}
"""


def as_page(result: Result) -> bytes:
    """The page; the same result gives the same bytes."""
    asked = result.asked
    colour = "good" if result.passed else "bad"
    title = f"Compression of {asked.name}"
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(title)}</h1>",
        f"<p class={colour}>{escape(result.verdict)}</p>",
    ]
    notes = list(result.notes)
    if asked.quick:
        notes.insert(0, "This was a quick run: too few pictures and steps to believe its figures.")
    if notes:
        parts.append("<h2>Before you believe it</h2><ul>")
        parts += [f"<li>{escape(note)}</li>" for note in notes]
        parts.append("</ul>")
    parts += ["<h2>What was asked</h2>", _asked(result), _artefacts(result)]
    plot = pareto_plot(result)
    if plot:
        parts += ["<h2>Accuracy against time</h2>", plot]
    if result.changes:
        parts.append(gallery(result.changes))
    if result.tries:
        parts += ["<h2>What was tried, and what was dropped</h2>", _tries(result)]
    parts += [_sensitivities(result), _simplification(result), _provenance(result), "</html>\n"]
    return "\n".join(filter(None, parts)).encode()


def _asked(result: Result) -> str:
    asked = result.asked
    return facts(
        {
            "model": f"{asked.model} ({asked.family})",
            "gate": f"at most {asked.drop:.2%} less {asked.metric}, relative to the original",
            "speed": "" if asked.speed is None else f"{asked.speed:g} times the original's",
            "size": "" if asked.size is None else f"{asked.size:.0%} of the original's at most",
            "targets": asked.targets,
        }
    )


def _artefacts(result: Result) -> str:
    head = (
        "artefact",
        f"{escape(result.asked.metric)} <small>(95%)</small>",
        "loses <small>(95%)</small>",
        "size",
        "FLOPs",
        "parameters",
        "as fast as the original",
        "differs from its source by",
        "gate",
    )
    every = (result.original, *result.artefacts)
    rows = [_artefact(each, result.original) for each in every]
    parts = ["<h2>What came of it</h2>", table(head, rows, ["original"])]
    speeds = [each.speed for each in result.artefacts if each.speed]
    if speeds:
        shape = ", ".join(f"{n} {'x'.join(map(str, s))}" for n, s in speeds[0].shape.items())
        said = " ".join(filter(None, [speeds[0].engine, shape]))
        parts.append(
            "<p>Intervals are bootstrapped over pictures, those of losses over the same pictures "
            f"for both. Speeds are ratios of processor time, taken in turns in one run ({said}, "
            f"threads: {speeds[0].threads}); they hold for this host alone.</p>"
        )
    remarks = [f"{each.name}: {note}" for each in every for note in each.notes]
    if remarks:
        parts.append("<ul>" + "".join(f"<li>{escape(each)}" for each in remarks) + "</ul>")
    counts = [(each.name, count) for each in every for count in each.instructions]
    return "\n".join([*parts, _instructions(counts)])


def _artefact(each: Artefact, original: Artefact) -> tuple[str, ...]:
    kind = f"{each.target}, {each.engine}, {each.precision}"
    if not each.ships and each is not original:
        kind += ", does not ship"
    measured = accuracy(each.accuracy)
    if each.accuracy and each.accuracy.more:
        more = ", ".join(f"{name} {value:.1%}" for name, value in each.accuracy.more.items())
        measured += f"<br><small>{escape(more)}</small>"
    if each.proxy:
        measured += f"<br><small>{escape(each.proxy)}</small>"
    differs = "–" if each.difference is None else f"{each.difference:.1e}"
    if each.difference is not None and each.compared_with:
        differs += f" <small>{escape(each.compared_with)}</small>"
    gate = "<b class=held>held</b>" if each.passed else "<b class=missed>missed</b>"
    if each.passed and each.accuracy is None:
        gate = "not measured"
    return (
        f"<b>{escape(each.name)}</b><br><small>{escape(kind)}</small>",
        measured,
        "" if each is original else drop(each.accuracy),
        megabytes(each.bytes) + share(each.bytes, original.bytes),
        large(each.flops) + share(each.flops, original.flops),
        large(each.parameters) + share(each.parameters, original.parameters),
        "" if each is original else speed(each.speed),
        differs,
        "" if each is original else gate,
    )


def _instructions(counts: list[tuple[str, InstructionCounts]]) -> str:
    if not counts:
        return ""
    kinds = list(dict.fromkeys(kind for _, count in counts for kind in count.kinds))
    first: dict[str, int] = {}
    for _, count in counts:
        first.setdefault(count.core, count.total)
    rows = [
        (
            escape(name),
            escape(count.core),
            large(count.total) + share(count.total, first[count.core]),
            *(large(count.kinds.get(kind, 0)) for kind in kinds),
            escape(count.engine),
        )
        for name, count in counts
    ]
    head = ("artefact", "core", "instructions", *map(escape, kinds), "engine")
    return (
        "<h2>Instructions on ARM64</h2><p>Of one inference on one thread, counted in emulation: "
        "they repeat to a fraction of a percent and say which model does less; not time.</p>"
        + table(head, rows)
    )


def _tries(result: Result) -> str:
    head = ("stage", "what", escape(result.asked.metric), "loses", "size", "speed", "outcome")
    return table(head, [_try(each) for each in result.tries])


def _try(each: Try) -> tuple[str, ...]:
    told = [(name, value) for name, value in each.parameters.items() if value not in ([], {}, "")]
    said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told)
    word = "missed" if each.outcome in ("dropped", "failed") else "held"
    outcome = f"<b class={word}>{each.outcome}</b>"
    return (
        escape(each.stage),
        f"{escape(each.name)}<br><small>{escape(said)}</small>",
        accuracy(each.accuracy),
        drop(each.accuracy),
        megabytes(each.bytes),
        speed(each.speed),
        f"{outcome}{': ' if each.why else ''}{escape(each.why)}"
        f"<br><small>{duration(each.seconds)}</small>",
    )


def _sensitivities(result: Result) -> str:
    words = {"prune": "pruned", "quantise": "quantised"}
    parts = []
    for stage, unit in sorted({(each.stage, each.unit) for each in result.sensitivities}):
        some = [e for e in result.sensitivities if (e.stage, e.unit) == (stage, unit)]
        parts += [f"<h2>Layers that mind being {words[stage]}</h2>", sensitivity_plot(some)]
    return "\n".join(parts)


def _simplification(result: Result) -> str:
    done = result.simplification
    if done is None:
        return ""
    before, after = sum(done.before.values()), sum(done.after.values())
    said = f"{before} operators became {after}, {done.weights_before:,} weights "
    said += f"{done.weights_after:,}."
    if done.difference is not None:
        said += f" No output changed by more than {done.difference:.1e}."
    rows = [
        (escape(name.replace("_", " ")), str(times), str(done.removed.get(name, 0)))
        for name, times in sorted(done.times.items(), key=lambda each: -each[1])
        if times
    ]
    types = sorted({*done.before, *done.after}, key=lambda t: (-done.before.get(t, 0), t))
    operators = [
        (escape(kind), str(done.before.get(kind, 0)), str(done.after.get(kind, 0)))
        for kind in types
    ]
    return "\n".join(
        [
            f"<h2>Rewrites that leave the answers as they are</h2><p>{said}</p>",
            table(("rewrite", "times", "operators that it took out"), rows),
            "<details><summary>Operators</summary>",
            table(("operator", "before", "after"), operators),
            "</details>",
        ]
    )


def _provenance(result: Result) -> str:
    sets = [
        (escape(name), f"{each.items:,}", escape(", ".join(each.sources)), each.sha256)
        for name, each in result.data.items()
    ]
    listed = {("source", file.path, file.bytes, file.sha256) for file in result.sources}
    for each in result.artefacts:
        whose = "what ships" if each.ships else "what does not ship"
        listed |= {(whose, file.path, file.bytes, file.sha256) for file in each.files}
    files = [
        (escape(whose), escape(path), f"{size:,}", digest)
        for whose, path, size, digest in sorted(listed)
    ]
    stages = [
        (
            escape(each.name),
            duration(each.seconds) + (" <small>(kept from before)</small>" if each.cached else ""),
            escape(each.failed),
        )
        for each in result.stages
    ]
    command = f"<pre>{escape(result.asked.command)}</pre>" if result.asked.command else ""
    recipe = (
        f"<details><summary>The recipe</summary><pre>{escape(result.asked.recipe)}</pre></details>"
        if result.asked.recipe
        else ""
    )
    when = f"{result.started}, took {duration(result.seconds)}"
    return "\n".join(
        filter(
            None,
            [
                "<h2>To make it again</h2>",
                command,
                recipe,
                table(("pictures", "", "from", "SHA-256"), sets) if sets else "",
                table(("file", "", "bytes", "SHA-256"), files) if files else "",
                "<h2>How it was made</h2>",
                table(("stage", "time", ""), stages) if stages else "",
                facts({"lineguard": result.lineguard, "started": when}),
                facts(result.versions | result.machine),
            ],
        )
    )
