"""Charts with sliders of the model's formulas: thresholds, a deadline's split, a Beta density."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from dtlib.model.channel import mean_gain
from dtlib.model.synchronization import compute_delay
from dtlib.report import formulas
from dtlib.report.style import ALARM, PALETTE
from dtlib.settings.env import EnvConfig

BLUE, ORANGE = PALETTE[:2]


def slider(name: str, says: str, value: float, *, low: float, high: float, step: float) -> Any:
    """Return a slider; its range reaches to a first value beyond it."""
    low, high = min(low, value), max(high, value)
    bind = alt.binding_range(min=low, max=high, step=step, name=says)
    return alt.param(name=name, value=value, bind=bind)


def grid(low: float, high: float, step: float) -> Any:
    """Return a chart of the numbers ``x`` of a range, which the browser counts out itself."""
    return alt.Chart(alt.sequence(low, high + step / 2, step, as_="x"))


def layered(*layers: Any, says: Sequence[Any], moved_by: Sequence[Any]) -> Any:
    """Return layers as one chart below lines of text, which follow the sliders as it does."""
    texts = [str(getattr(line, "expr", line)) for line in says]
    title = alt.TitleParams(text=alt.ExprRef(f"[{', '.join(texts)}]"), lineHeight=18)
    chart = alt.layer(*layers, title=title).add_params(*moved_by)
    return chart.properties(width="container", height=240)


def computed(chart: Any, **fields: Any) -> Any:
    """Return a chart with fields of formulas, whether of a row's values or of sliders alone."""
    texts = {name: str(getattr(value, "expr", value)) for name, value in fields.items()}
    return chart.transform_calculate(**texts)


def rule(at: Any, colour: str, dash: list[int], wide: float = 2) -> Any:
    """Return an upright line at a value."""
    mark = {"color": colour, "strokeDash": dash, "size": wide, "clip": True}
    return computed(alt.Chart(alt.InlineData([{}])), x=at).mark_rule(**mark).encode(x="x:Q")


def fixed(value: Any, digits: int = 1) -> Any:
    """Return a number as text with so many digits behind the point."""
    return alt.expr.format(value, f".{digits}f")


def thresholds(env: EnvConfig, uplink_s: float = 0.003) -> Any:
    """Draw the share of requests that no slice f_max/K computes in time, against K.

    The two thresholds are upright lines, dotted without the uplink's time. Sliders move f_max, the
    ranges of D and C, τ and the time of the uplink.
    """
    (small, big), (few, many) = env.data_bits, env.cycles_per_bit
    cpu = slider("cpu", "f_max, GHz", env.cpu_hz / 1e9, low=1, high=20, step=0.5)
    tau = slider("tau", "τ, ms", 1e3 * env.deadline_s[1], low=20, high=50, step=1)
    uplink = slider("uplink", "uplink, ms", 1e3 * uplink_s, low=0, high=15, step=0.5)
    sizes = (
        slider("small", "D_min, Kb", small / 1e3, low=5, high=24, step=0.5),
        slider("big", "D_max, Kb", big / 1e3, low=15, high=40, step=0.5),
    )
    work = (
        slider("few", "C_min, cycles/bit", few, low=200, high=690, step=10),
        slider("many", "C_max, cycles/bit", many, low=500, high=1200, step=10),
    )
    low = [alt.expr.min(lowest, highest - 1e-3) for lowest, highest in (sizes, work)]  # no 0 / 0
    bits, cycles = (low[0] * 1e3, sizes[1] * 1e3), (low[1], work[1])
    left = (tau - uplink) / 1e3

    def at(end: int, seconds: Any) -> Any:
        return formulas.threshold(cpu * 1e9, seconds, bits=bits[end], cycles_per_bit=cycles[end])

    share = formulas.share_too_big(
        cpu * 1e9 * left / alt.datum.x, bits, cycles, log=alt.expr.log, clamp=alt.expr.clamp
    )
    x = alt.X("x:Q", title="mobile users K", scale=alt.Scale(domain=[1, 100], nice=False))
    y = alt.Y("y:Q", title="requests too big (%)", scale=alt.Scale(domain=[0, 100]))
    line = computed(grid(1, 100, 0.5), y=100 * share)
    ends = [rule(at(end, tau / 1e3), "currentColor", [3, 4], wide=1) for end in (1, 0)]
    ends += [rule(at(1, left), BLUE, []), rule(at(0, left), ALARM, [])]
    first = "blue: the first request fails at K = " + fixed(at(1, left))
    last = "red: the last one succeeds at K = " + fixed(at(0, left))
    bare = "dotted, no uplink: K = " + fixed(at(1, tau / 1e3)) + " and " + fixed(at(0, tau / 1e3))
    curve = line.mark_line(color="currentColor", strokeWidth=2.5, clip=True).encode(x=x, y=y)
    moved_by = [cpu, tau, uplink, *sizes[::-1], *work[::-1]]
    return layered(curve, *ends, says=[first, last, bare], moved_by=moved_by)


def split(env: EnvConfig) -> Any:
    """Draw the least transmit energy against how much of a deadline the radio has.

    The rest is the CPU's. Where a slice f_max/K puts the border is an upright line; left of the
    other, the power would have to be above P_max. Nobody else sends, and the channel is a mean one.
    """
    tau = env.deadline_s[1]
    users = slider("users", "K, mobile users", env.num_users, low=5, high=60, step=1)
    size = slider("size", "D, Kb", sum(env.data_bits) / 2e3, low=5, high=40, step=0.5)
    work = slider("work", "C, cycles/bit", sum(env.cycles_per_bit) / 2, low=400, high=1000, step=5)
    away = slider("away", "distance, m", 200, low=20, high=500, step=5)
    band = slider("band", "B, MHz", env.bandwidth_hz / 1e6, low=1, high=20, step=0.5)
    loss = mean_gain(away, ref_gain=env.ref_gain, exponent=env.path_loss_exponent)

    def power(seconds: Any) -> Any:
        return formulas.least_power(
            size * 1e3, seconds, bandwidth_hz=band * 1e6, gain=loss, noise_w=env.noise_w
        )

    left = tau - compute_delay(size * 1e3, cycles_per_bit=work, cpu_hz=env.cpu_hz / users)
    radio = alt.expr.max(left, 1e-9)
    most = alt.expr.log(1 + env.max_power_w * loss / env.noise_w) / alt.expr.LN2 * band * 1e6
    x = alt.X(
        "x:Q",
        title="the radio's part of the deadline (ms); the rest is the CPU's",
        scale=alt.Scale(domain=[0, 1e3 * tau], nice=False),
    )
    y = alt.Y(
        "y:Q",
        title="least energy (mJ)",
        scale=alt.Scale(type="log", domain=[1e-3, 100]),
        axis=alt.Axis(values=[1e-3, 1e-2, 0.1, 1, 10, 100], format="~g"),
    )
    step = 1e3 * tau / 400
    energy = power(alt.datum.x / 1e3) * alt.datum.x
    line = computed(grid(step, 1e3 * tau, step), y=energy)
    curve = line.mark_line(color="currentColor", strokeWidth=2.5, clip=True).encode(x=x, y=y)
    slow = 1e3 * size * 1e3 / most
    says = alt.expr.if_(
        left > 0,
        "blue: a slice leaves " + fixed(1e3 * left) + " ms: "
        + alt.expr.format(1e3 * power(radio) * radio, ".3~g") + " mJ at "
        + alt.expr.format(1e3 * power(radio), ".3~g") + " mW",
        "blue: a slice takes longer than the deadline",
    )  # fmt: skip
    limit = "red: at P_max the upload takes " + fixed(slow, 2) + " ms"
    borders = rule(alt.expr.max(1e3 * left, 0), BLUE, []), rule(slow, ALARM, [3, 4])
    return layered(curve, *borders, says=[says, limit], moved_by=[users, size, work, away, band])


def beta(first: float = 1.7, second: float = 1.7) -> Any:
    """Draw a Beta density on [0, 1] and the Gaussian of the same mean and spread beside it.

    What the Gaussian has beyond the range, where its draws are clipped, is filled.
    """
    one = slider("first", "ϑ", first, low=1, high=20, step=0.1)
    two = slider("second", "χ", second, low=1, high=20, step=0.1)
    mean, variance = formulas.beta_moments(one, two)
    spread = alt.expr.sqrt(variance)
    x = alt.X("x:Q", title="action", scale=alt.Scale(domain=[-0.5, 1.5], nice=False))
    y = alt.Y("y:Q", title="density", scale=alt.Scale(domain=[0, 5]))
    step = 0.005
    bare = alt.datum.x ** (one - 1) * (1 - alt.datum.x) ** (two - 1)
    all_ = computed(grid(step / 2, 1 - step / 2, step), bare=bare)
    own = computed(
        all_.transform_joinaggregate(total="sum(bare)"), y=f"datum.bare / datum.total / {step}"
    )
    other = computed(grid(-0.5, 1.5, step), y=alt.expr.densityNormal(alt.datum.x, mean, spread))
    beyond = [
        other.transform_filter(where).mark_area(color=ALARM, opacity=0.5, clip=True)
        for where in ("datum.x <= 0", "datum.x >= 1")
    ]
    lost = (
        alt.expr.cumulativeNormal(0, mean, spread) + 1 - alt.expr.cumulativeNormal(1, mean, spread)
    )
    says = "mean " + fixed(mean, 2) + ", standard deviation " + fixed(spread, 2)
    wasted = "clipped, red: Beta none, Gaussian " + fixed(100 * lost) + " %"
    density = own.mark_area(color=BLUE, opacity=0.35, line={"color": BLUE}, clip=True)
    gaussian = other.mark_line(color=ORANGE, strokeDash=[6, 4], clip=True)
    layers = [layer.encode(x=x, y=y) for layer in (density, *beyond, gaussian)]
    return layered(*layers, says=[says, wasted], moved_by=[one, two])
