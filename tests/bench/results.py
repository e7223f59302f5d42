# SPDX-License-Identifier: Apache-2.0
"""The benchmark's results, read from its JSON lines: what "table" and "plot" have in common."""
import json
import statistics

WAYS = {
    "stock": "docker checkpoint",
    "podman-zstd": "podman, zstd",
    "podman-none": "podman, plain",
    "ours": "dm-migrate",
}


class Results:
    def __init__(self, path):
        """Read the file; head is its first line, rows are the moves."""
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file if line.strip()]
        self.head = next((line for line in lines if line.get("head")), {})
        self.rows = [line for line in lines if "way" in line]
        self.links = list(dict.fromkeys(row["link"] for row in self.rows))
        self.sizes = sorted({row["size_mib"] for row in self.rows})
        self.ways = [way for way in WAYS if any(row["way"] == way for row in self.rows)]

    def pick(self, link, size, way, ok=True):
        return [row for row in self.rows
                if (row["link"], row["size_mib"], row["way"], row["ok"]) == (link, size, way, ok)]

    def spread(self, link, size, way, value):
        """Median, least and most of value(row) over the runs; None if a run failed or none was made."""
        rows = self.pick(link, size, way)
        if not rows or self.pick(link, size, way, ok=False):
            return None
        values = [value(row) for row in rows]
        return statistics.median(values), min(values), max(values)

    def tools(self, link, size, way):
        """{(tool, host): (CPU seconds, peak MiB, calls)}, medians over the runs, in order of use."""
        runs = []
        for row in self.pick(link, size, way):
            run = {}
            for cost in row["costs"]:
                old = run.get((cost["tool"], cost["host"]), (0, 0, 0))
                run[cost["tool"], cost["host"]] = (
                    old[0] + cost["cpu_s"], max(old[1], cost["peak_mib"]), old[2] + 1)
            runs.append(run)
        names = dict.fromkeys(name for run in runs for name in run)
        return {name: tuple(statistics.median(run[name][i] for run in runs if name in run)
                            for i in range(3)) for name in names}


def link_name(link):
    return {"open": "open link", "1gbit": "1 Gb/s"}.get(link, link)


def size_name(mib):
    return f"{mib // 1024} GiB" if mib % 1024 == 0 else f"{mib} MiB"
