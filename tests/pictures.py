"""What a chart shows at first, drawn without a browser."""

from __future__ import annotations

import html
import re
from typing import Any

import vl_convert

from dtlib.report import embed


def texts(chart: Any) -> list[str]:
    """Return the words and numbers in a chart's picture."""
    picture = vl_convert.vega_to_svg(embed.specification(chart, "a chart"))
    return [
        html.unescape(text).replace("−", "-")
        for text in re.findall(r"<t(?:ext|span)[^>]*>([^<]+)<", picture)
    ]
