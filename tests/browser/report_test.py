#!/usr/bin/env python3
"""report.html in a real browser: report_test.py BLINDSUM [SCREENSHOT_DIR]

Makes small runs, opens their reports from files in headless Chromium, and holds what is on the page against the records. Talks
to the browser over its debugging pipe; needs nothing but the standard library. Ends with 77, after a loud line, where there is no
Chromium.
"""
import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SMALL = ["--set", "runtime=memory", "--set", "data.source=synthetic", "--set", "local.batch_rows=32"]
SCENARIO = """name: small
parties: 3
rounds: 4
cipher: none
"""


class Browser:
    """Chromium, one page, driven by the DevTools protocol over file descriptors 3 and 4."""

    def __init__(self, program, profile):
        commands, self.commands = os.pipe()
        self.events, events = os.pipe()
        # Out of the way of 3 and 4, where the browser expects them.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (commands, events)]
        # No name resolves: whatever left the page would fail, and be seen.
        arguments = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                     "--remote-debugging-pipe", f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND", "about:blank"]
        self.process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(3, 4),
                                        preexec_fn=lambda: [os.dup2(end, place) for place, end in zip((3, 4), ends)])
        for end in (commands, events, *ends):
            os.close(end)
        os.set_blocking(self.events, False)
        self.buffer = b""
        self.number = 0
        self.session = None
        self.console = []
        self.requests = []
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            answer = self.receive()
            if answer and answer.get("id") == self.number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
        raise AssertionError(f"{method}: no answer from the browser")

    def receive(self):
        while b"\0" not in self.buffer:
            try:
                part = os.read(self.events, 1 << 16)
                assert part, "the browser has gone"
                self.buffer += part
            except BlockingIOError:
                time.sleep(0.01)
                return None
        line, self.buffer = self.buffer.split(b"\0", 1)
        message = json.loads(line)
        method = message.get("method")
        if method in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"):
            self.console.append(json.dumps(message["params"])[:400])
        elif method == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        return message

    def value(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def open(self, path, width, height, scheme):
        self.console.clear()
        self.requests.clear()
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        url = Path(path).resolve().as_uri()
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + 30
        while self.value("location.href + ' ' + document.documentElement?.dataset.ready") != f"{url} true":
            assert time.monotonic() < deadline, f"{path}: the page did not become ready; console: {self.console}"
            time.sleep(0.05)
        # Charts are drawn in frames of their own.
        self.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))))")
        return url

    def screenshot(self, path):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        Path(path).write_bytes(base64.b64decode(data))

    def close(self):
        try:
            self.call("Browser.close")
        except (AssertionError, OSError):
            self.process.kill()
        self.process.wait(timeout=20)


def equal(actual, expected, what):
    assert actual == expected, f"{what}: {actual!r}, expected {expected!r}"


def records_of(folder):
    return [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]


def check_page(browser, path, shots, name):
    """What every report must be, whatever it shows."""
    html = path.read_text()
    assert "{{" not in html.split("<script", 1)[0], "the template was not filled"
    for width, height, scheme in ((1280, 900, "light"), (1280, 900, "dark"), (390, 844, "light")):
        url = browser.open(path, width, height, scheme)
        label = f"{name} {width} {scheme}"
        equal(browser.console, [], f"{label}: console")
        equal(browser.requests, [url], f"{label}: requests")
        equal(browser.value("document.documentElement.scrollWidth - document.documentElement.clientWidth"), 0, f"{label}: overflow")
        equal(browser.value("!!document.getElementById('planted')"), False, f"{label}: markup from a record")
        ground = browser.value("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
        assert (max(ground[:3]) < 80) == (scheme == "dark"), f"{label}: background {ground}"
        small = browser.value("[...document.querySelectorAll('figure.chart .plot')].filter((plot) => !plot.querySelector('svg')"
                              " || plot.querySelector('svg').getBoundingClientRect().height < 40).length")
        equal(small, 0, f"{label}: charts that were not drawn")
        nameless = browser.value("[...document.querySelectorAll('figure.chart svg')].filter((svg) => !svg.getAttribute('aria-label')).length")
        equal(nameless, 0, f"{label}: charts without a name")
        if shots:
            browser.screenshot(Path(shots) / f"{name}-{width}-{scheme}.png")


def points(browser):
    return browser.value("Object.fromEntries([...document.querySelectorAll('.chart')].map((chart) =>"
                         " [chart.id, Number(chart.dataset.points)]))")


def table_of(browser, chart):
    """Opens the table under a chart and returns its cells."""
    return browser.value(
        f"new Promise((done) => {{ const details = document.querySelector('#{chart} details'); details.open = true;"
        " setTimeout(() => done([...details.querySelectorAll('tbody tr')].map((row) => [...row.children].map((cell) =>"
        " cell.textContent))), 50); })")


def check_run(browser, folder, shots):
    check_page(browser, folder / "report.html", shots, "run")
    records = records_of(folder)
    equal(browser.value("document.getElementById('events').hidden"), True, "events of a run without any")
    summary = json.loads((folder / "summary.json").read_text())
    evaluations = [record for record in records if record.get("evaluation")]
    rounds = {record["round"] for record in records}
    phases = {phase for record in records for phase, seconds in record["phase_s"].items() if seconds > 0} - {"wait"}
    drawn = points(browser)
    for chart in ("chart-accuracy", "chart-macro_f1", "chart-cost"):
        equal(drawn[chart], len(evaluations), chart)
    equal(drawn["chart-confusion"], 25, "chart-confusion")
    equal(drawn["chart-recall"], 5, "chart-recall")
    equal(drawn["chart-phases"], len(rounds) * len(phases), "chart-phases")
    equal(drawn["chart-contributors"], len(rounds) * summary["parties"], "chart-contributors")
    equal(drawn["chart-bytes-up"], len(rounds), "chart-bytes-up")
    class_rows = json.loads((folder / "manifest.json").read_text())["shards"]["class_rows"]
    equal(drawn["chart-shards"], 5 * summary["parties"], "chart-shards")
    shards = table_of(browser, "chart-shards")
    for party, (cells, rows) in enumerate(zip(shards, class_rows, strict=True)):
        lines = (folder / "shards" / f"party-{party}.csv").read_text().splitlines()
        equal(sum(rows), len(lines), "rows of a shard in the manifest")
        equal(rows[0], sum(line.endswith(",normal.") for line in lines), "normal rows of a shard")
        equal(cells[0], f"party {party}, {len(lines):,} rows", "the name of a shard")
        equal(float(cells[2].removesuffix(" %")), round(100 * rows[1] / len(lines), 1), "share of dos")
    accuracy = [[f"{record['round']}", f"{100 * record['evaluation']['accuracy']:.2f} %"] for record in evaluations]
    equal(table_of(browser, "chart-accuracy"), accuracy, "the table of accuracies")
    text = browser.value("document.body.innerText")
    for part in ("NOT ENCRYPTED", "Synthetic data", summary["model_digest"], f"{100 * summary['final']['accuracy']:.2f}"):
        assert part in text, f"{part!r} is not on the page"
    assert "were not there" not in text, "synthetic data that the scenario asks for replace no files"
    cells = browser.value("[...document.querySelectorAll('#chart-confusion td')].map((cell) => cell.getAttribute('aria-label'))")
    names = ["normal", "dos", "probe", "r2l", "u2r"]
    equal(cells, [f"{summary['confusion'][a][p]} {names[a]} taken for {names[p]}" for a in range(5) for p in range(5)], "confusion")


def check_comparison(browser, folder, shots):
    check_page(browser, folder / "report.html", shots, "comparison")
    comparison = json.loads((folder / "compare.json").read_text())
    text = browser.value("document.body.innerText")
    assert comparison["identical"] is True and "bit for bit" in text, "the verdict is missing"
    rows = browser.value("[...document.querySelectorAll('#runs-table tbody tr')].map((row) => [...row.children].map((cell) =>"
                         " cell.textContent))")
    keys = ["centralized", "local", "federated_float", "federated_integer", "federated_encrypted"]
    expected = [f"{100 * comparison[key]['final']['accuracy']:.2f} %" for key in keys]
    expected += [f"{100 * comparison['sanity'][key]['accuracy']:.2f} %" for key in ("study_network", "majority_class", "decision_stump")]
    equal([row[1] for row in rows], expected, "accuracies of the runs")
    gains = browser.value("document.querySelectorAll('#gains-table tbody tr').length")
    equal(gains, len(comparison["gains"]), "rows of gains")
    equal(points(browser)["chart-recall"], 25, "chart-recall")


def check_more(browser, blindsum, folder, shots):
    """Minimum cost, quantisation and paired differences are on the page as they are in compare.json."""
    comparison = json.loads((folder / "compare.json").read_text())
    for run, against, accuracy in (("federated_encrypted", "local", (0.0123, 0.001, 3, 0.25)),
                                   ("federated_encrypted", "federated_float", (-0.0004, 0.0002, 1, None))):
        pair = {"run": run, "against": against, "seeds": 3}
        for key, (difference, error, higher, p) in (("accuracy", accuracy), ("macro_f1", (0.05, 0.01, 3, 0.25)), ("cost", (0.0, 0.0, 0, 1.0))):
            pair[key] = {"difference": difference, "standard_error": error, "higher": higher, "p": p}
        comparison.setdefault("paired", []).append(pair)
    (folder / "compare.json").write_text(json.dumps(comparison))
    subprocess.run([blindsum, "report", folder], check=True, stdout=subprocess.DEVNULL)
    check_page(browser, folder / "report.html", shots, "more")

    def rows(table):
        return browser.value(f"[...document.querySelectorAll('#{table} tbody tr')].map((row) => [...row.children].map((cell) =>"
                             " cell.textContent))")

    equal(rows("pairs-table"), [
        ["Federated, encrypted", "Each party alone", "+1.23 % ± 0.10 % (3 of 3 higher, p 0.250)", "+0.0500 ± 0.0100 (3 of 3 higher, p 0.250)",
         "0.0000 ± 0.0000 (0 of 3 higher, p 1.000)"],
        ["Federated, encrypted", "Federated, floats", "-0.04 % ± 0.02 % (1 of 3 higher)", "+0.0500 ± 0.0100 (3 of 3 higher, p 0.250)",
         "0.0000 ± 0.0000 (0 of 3 higher, p 1.000)"]], "paired differences")
    judged = [(name, comparison["minimum_cost"][key][0]) for name, key in (("Centralized", "centralized"),
                                                                           ("Federated, encrypted", "federated_encrypted"))]
    equal(rows("minimum-cost-table"), [[name, f"{100 * quality['accuracy']:.2f} %", f"{quality['macro_f1']:.4f}", f"{quality['cost']:.4f}"]
                                       for name, quality in judged], "minimum cost")
    counted = comparison["quantisation"][0]
    differ, records = counted["predictions_differ"], counted["records"]
    equal(browser.value("document.getElementById('quantisation').textContent"),
          f"Quantisation: 24 bits a value change {differ:,} of {records:,} predictions ({100 * differ / records:.3f} %) of the federation in "
          "floating point.", "quantisation")


def check_zero_day(browser, folder, shots):
    """What the model makes of an attack that nobody knew, which layers were clipped, and the local work are told."""
    check_page(browser, folder / "report.html", shots, "zero-day")
    summary = json.loads((folder / "summary.json").read_text())
    told = summary["zero_day"]
    found, right = (100 * told[key] / told["test_rows"] for key in ("taken_for_an_attack", "taken_for_its_class"))
    equal(browser.value("document.getElementById('zero-day').textContent"),
          f"Zero-day attack smurf, which only party 1 had to train on: of its {told['test_rows']:,} test records {found:.2f} % were taken for an "
          f"attack, {right:.2f} % for its class.", "zero-day")
    layers = summary["clipped_by_layer"]
    assert len(layers) == 2 and sum(layers) > 0, layers
    equal(browser.value("document.getElementById('clipped-layers').textContent"),
          f"By layer of the network, the first one first: {layers[0]:,}, {layers[1]:,}.", "clipped by layer")
    lede = browser.value("document.getElementById('lede').textContent")
    assert "4 rounds of fedavg, alike shards, 2 steps of 32 rows a party and round." in lede, lede


def check_proof(browser, blindsum, folder, shots):
    """What the examination of the traffic came to stands where the roles are."""
    check_page(browser, folder / "report.html", shots, "not proved")
    section = "document.getElementById('roles').innerText"
    assert "Proof of encryption: not checked. runtime memory" in browser.value(section), "the verdict is missing"
    comparison = json.loads((folder / "compare.json").read_text())
    comparison["federated_encrypted"]["encryption_proof"] = {
        "verdict": "failed", "reason": "records_hidden: found in <b>2 places", "messages": 1234, "bytes": 5000000,
        "messages_not_recorded": 7, "checks": [{"name": "records_hidden", "verdict": "failed", "looked_at": "rows", "count": 99,
                                                "detail": "found in <b>2 places"}]}
    (folder / "compare.json").write_text(json.dumps(comparison))
    subprocess.run([blindsum, "report", folder], check=True, stdout=subprocess.DEVNULL)
    check_page(browser, folder / "report.html", shots, "proof failed")
    browser.value("document.querySelectorAll('#roles-proof details').forEach((details) => { details.open = true; })")
    text = browser.value(section)
    for part in ("The proof of encryption failed", "Proof of encryption: failed.", "1,234 messages", "7 messages were not recorded"):
        assert part in text, f"{part!r} is not on the page"
    assert "handled only ciphertexts" not in text, "the page says what was not proved"
    row = "[...document.querySelectorAll('#roles-proof tbody tr')].map((row) => [...row.children].map((cell) => cell.textContent))"
    time.sleep(0.2)  # the table is built when the browser says that it was opened
    equal(browser.value(row), [["records hidden", "failed", "99", "rows", "found in <b>2 places"]], "checks")


def check_events(browser, folder, shots):
    """What went wrong on purpose, and what was noticed, is drawn and told."""
    check_page(browser, folder / "report.html", shots, "events")
    events = [record for record in records_of(folder) if "event" in record]
    assert {"fault_injected", "party_absent"} <= {event["event"] for event in events}, events
    equal(points(browser)["chart-events"], len(events), "chart-events")
    equal(browser.value("document.querySelectorAll('#chart-events path.mark-event').length"), len(events), "marks")
    rows = table_of(browser, "chart-events")
    equal([row[3] for row in rows], [event["detail"] for event in events], "the table of events")
    text = browser.value("document.getElementById('events').innerText")
    assert f"{len(events)} events" in text, text


def check_failed(browser, blindsum, folder, shots):
    """A run that ended before it had results still has a page that says why."""
    for name in ("rounds.jsonl", "summary.json"):
        (folder / name).unlink()
    summary = {"status": "role_failed", "reason": "party 1 was <killed> by signal 9", "parties": 3, "rounds": 4, "final": None,
               "confusion": None, "model_digest": None, "data": "synthetic"}
    (folder / "summary.json").write_text(json.dumps(summary))
    subprocess.run([blindsum, "report", folder], check=True, stdout=subprocess.DEVNULL)
    check_page(browser, folder / "report.html", shots, "failed")
    text = browser.value("document.body.innerText")
    assert "party 1 was <killed> by signal 9" in text and "no model came out" in text, "the page does not say why"


def check_private(browser, folder, shots):
    check_page(browser, folder / "report.html", shots, "private")
    spent = [(record["round"], record["epsilon"]) for record in records_of(folder) if record.get("evaluation")]
    assert len(spent) > 1 and all(before[1] < after[1] for before, after in zip(spent, spent[1:])), "epsilon must grow"
    equal(points(browser)["chart-epsilon"], len(spent), "chart-epsilon")
    cells = table_of(browser, "chart-epsilon")
    equal([int(row[0]) for row in cells], [round_number for round_number, _ in spent], "rounds of chart-epsilon")
    for row, (_, epsilon) in zip(cells, spent, strict=True):
        assert abs(float(row[1]) - epsilon) <= 0.006 * epsilon, f"epsilon {row[1]} on the page, {epsilon} in the records"


def check_early(browser, folder, shots):
    """A run that stopped early is told by the rounds that it did, and by the updates that were sent."""
    check_page(browser, folder / "report.html", shots, "early")
    summary = json.loads((folder / "summary.json").read_text())
    sent = sum(record.get("round", 0) > 0 and record["role"].startswith("party-") and "event" not in record for record in records_of(folder))
    equal((summary["rounds"], summary["rounds_done"], summary["updates_sent"]), (4, 1, sent), "rounds and updates")
    text = browser.value("document.body.innerText")
    tiles = dict(browser.value("[...document.querySelectorAll('#tiles > div')].map((tile) => [tile.querySelector('dt').textContent,"
                               " tile.querySelector('.sub')?.textContent])"))
    assert "1 of 4 rounds (stopped early) of fedsgd" in text, "the page does not say that the run stopped early"
    parameters = 122 * 41 + 41 + 41 * 5 + 5
    equal(tiles["A party sent"], f"{summary['bytes_up'] / (sent * 4 * parameters):.1f} × float32", "bytes against float32")


def main():
    blindsum = str(Path(sys.argv[1]).resolve())
    shots = sys.argv[2] if len(sys.argv) > 2 else None
    program = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)
    if program is None:
        print("SKIPPED: NO CHROMIUM HERE: report.html was not tested in a browser (install the package chromium)", flush=True)
        return 77
    environment = {key: value for key, value in os.environ.items() if key != "BLINDSUM_DATA"}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        scenario = scratch / "small.yaml"
        scenario.write_text(SCENARIO)

        def run(verb, *more, to=None):
            out = scratch / (to or verb)
            subprocess.run([blindsum, verb, scenario, *SMALL, "--out", out, "--quiet", *more], check=True, env=environment)
            return next(out.iterdir())

        single = run("run")
        comparison = run("compare", "--set", "cipher=paillier", "--set", "paillier.key_bits=2048", "--set", "rounds=2")
        faulty = run("run", "--parties", "4", "--set", "faults=[{role: party-2, round: 2, kind: corrupt, how: invalid}]", to="faulty")
        private = run("run", "--set", "privacy.noise=1", to="private")
        early = run("run", "--set", "stop.accuracy=0.01", to="early")
        zero_day = run("run", "--set", "data.zero_day.attack=smurf", "--set", "data.zero_day.known_to=party-1", "--set", "algorithm=fedavg",
                       "--set", "local.steps=2", "--set", "fixed_point.clip=0.001", to="zero-day")
        browser = Browser(program, scratch / "profile")
        try:
            check_run(browser, single, shots)
            check_comparison(browser, comparison, shots)
            check_more(browser, blindsum, comparison, shots)
            check_proof(browser, blindsum, comparison, shots)
            check_events(browser, faulty, shots)
            check_private(browser, private, shots)
            check_zero_day(browser, zero_day, shots)
            check_early(browser, early, shots)
            # The scenario is on the page: what a person wrote into it must stay text.
            yaml = (single / "scenario.yaml").read_text()
            (single / "scenario.yaml").write_text(yaml + "# </script><b id=planted>&amp;<!-- \u2028\n")
            check_failed(browser, blindsum, single, shots)
        finally:
            browser.close()
    print("report.html: run, comparison and failed run are right in light, dark and on a phone")
    return 0


if __name__ == "__main__":
    sys.exit(main())
