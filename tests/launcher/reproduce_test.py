#!/usr/bin/env python3
"""reproduce_test.py REPRODUCE_PY

Runs scenarios/reproduce.py with a program in place of blindsum that gives the figures it is told, and looks at exit code, words
and files.
"""
import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

GOOD = {"accuracy": 0.925, "macro_f1": 0.6, "cost": 0.24}

# Every run gives GOOD but for the cell and quality that FIGURES names.
PROGRAM = f"""#!{sys.executable}
import json, os, pathlib, sys
cell = pathlib.Path(sys.argv[sys.argv.index("--out") + 1]).name.removesuffix(".run")
figures = json.loads(os.environ["FIGURES"])
final = {{**{GOOD!r}, **figures.get(cell, {{}})}}
result = {{"data": os.environ["DATA"], "final": final, "model_digest": "sha256:1"}}
if sys.argv[1] == "compare":
    result = {{"by_seed": {{name: [final] for name in ("centralized", "local")}}}}
print(json.dumps(result))
"""


def run(reproduce, scratch, name, figures, data="kdd99", more=("--seeds", "2")):
    out = scratch / name
    environment = {**os.environ, "FIGURES": json.dumps(figures), "DATA": data}
    done = subprocess.run([sys.executable, reproduce, "--programs", scratch, "--out", out, *more], env=environment, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    assert (out / "table.md").read_text() in done.stdout and (out / "plot.svg").exists(), f"{name}: no table or plot: {done.stderr}"
    said = done.stderr.split("misses what it must reach:\n")
    return done.returncode, said[1].splitlines() if len(said) > 1 else []


def equal(actual, expected, what):
    assert actual == expected, f"{what}: {actual!r}, expected {expected!r}"


def main():
    reproduce = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        program = scratch / "blindsum"
        program.write_text(PROGRAM)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

        equal(run(reproduce, scratch, "good", {}), (0, []), "all reached")
        exact = {f"50-by-attack-fedsgd-{seed}": {"accuracy": 0.923, "macro_f1": 0.58, "cost": 0.246} for seed in (1, 2)}
        equal(run(reproduce, scratch, "exact", exact), (0, []), "just reached")

        # Of two seeds the mean counts: .5799 and .246 · 1.01.
        low = {"10-dirichlet-0.1-fedsgd-2": {"macro_f1": 0.5598}, "50-iid-fedsgd-1": {"cost": 0.25692}}
        equal(run(reproduce, scratch, "low", low),
              (1, ["10 parties, dirichlet-0.1, fedsgd: macro_f1 0.5799, at least 0.58 is wanted",
                   "50 parties, iid, fedsgd: cost 0.2485, at most 0.246 is wanted"]), "two cells that miss")
        bad = {"10-iid-fedsgd-1": {"accuracy": 0.9}}
        equal(run(reproduce, scratch, "accuracy", bad),
              (1, ["10 parties, iid, fedsgd: accuracy 0.9125, at least 0.923 is wanted"]), "accuracy")
        equal(run(reproduce, scratch, "other", bad, data="synthetic"), (0, []), "other data")
        equal(run(reproduce, scratch, "quick", {"3-iid-fedsgd-1": {"accuracy": 0.5}}, more=("--quick",)), (0, []), "a quick look")
        others = {f"10-iid-{name}-1": {"accuracy": 0.5, "cost": 1} for name in ("fedavg", "fedadam", "scaffold")}
        equal(run(reproduce, scratch, "others", others), (0, []), "other algorithms")
        row = "| 10 | dirichlet-0.1 | fedsgd | 92.50 ± 0.00 | 0.580 ± 0.028 | 0.2400 ± 0.0000 |"
        assert row in (scratch / "low" / "table.md").read_text().splitlines(), "the deviation is missing in the table"
    print("reproduce: exit code, cells and files are right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
