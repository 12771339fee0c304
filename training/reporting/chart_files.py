"""A chart as files: a PNG, and a page that answers the mouse and needs no network."""

from __future__ import annotations

import html
import json
from io import BytesIO
from pathlib import Path
from string import Template

import altair as alt
import vl_convert
from PIL import Image

from training import checkpoints

SCRIPT = "vega-embed.js"
"""What draws the charts of all pages of a folder, and is there once: most of a megabyte."""

PIXELS_A_POINT = 2.0

_PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>$title</title>
<script src="$script"></script>
</head>
<body>
<div id="chart"></div>
<script>vegaEmbed("#chart", $chart, {mode: "vega-lite"});</script>
</body>
</html>
"""
)


def save(chart: alt.LayerChart | alt.FacetChart, stem: Path, title: str) -> None:
    """STEM.png, and STEM.html, which needs SCRIPT beside it."""
    drawn = BytesIO()
    chart.save(drawn, format="png", scale_factor=PIXELS_A_POINT)
    # As it is drawn it is five times as large: with a transparency of nothing, and hardly packed.
    packed = BytesIO()
    Image.open(drawn).convert("RGB").save(packed, format="png", optimize=True)
    checkpoints.write(stem.with_name(f"{stem.name}.png"), packed.getvalue())
    told = _PAGE.substitute(title=html.escape(title), script=SCRIPT, chart=_json(chart))
    checkpoints.write(stem.with_name(f"{stem.name}.html"), told.encode())


def save_script(folder: Path) -> None:
    """SCRIPT, of the version that the charts are described for."""
    major_and_minor = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    # Without a snippet it is a script that sets vegaEmbed; its stub has no default for one.
    bundle = vl_convert.javascript_bundle(vl_version=major_and_minor)  # type: ignore[call-arg]
    checkpoints.write(folder / SCRIPT, bundle.encode())


def _json(chart: alt.LayerChart | alt.FacetChart) -> str:
    """As it may stand in a script of a page: no text of it ends that."""
    return json.dumps(chart.to_dict()).replace("</", "<\\/")
