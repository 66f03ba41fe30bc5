"""Amounts as people say them."""


def readable_bytes(count: float) -> str:
    """`1.30 GB`, `21.0 MB`, `640 B`; powers of ten."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.2f} {unit}" if count < 10 * size else f"{count / size:,.1f} {unit}"
    return f"{count:g} B"


def readable_seconds(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min`, `2 h 5 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60:,} h {minutes % 60} min"
