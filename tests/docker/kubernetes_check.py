#!/usr/bin/env python3
"""kubernetes_check.py MANIFESTS PARTIES: checks what 'blindsum compose --kubernetes' wrote.

The structure is checked here: every reference leads somewhere, nobody gains rights, each role gets its own secrets alone.
The schemas of the Kubernetes API are those of the npm package kubernetes-models, where kubernetes_schema.mjs finds it.
"""

import base64
import json
import sys

import yaml


def mounts(container):
    return {m["mountPath"]: m for m in container["volumeMounts"]}


def main():
    path, parties = sys.argv[1], int(sys.argv[2])
    with open(path, encoding="utf-8") as file:
        objects = [o for o in yaml.safe_load_all(file) if o]
    by = {}
    for o in objects:
        key = (o["kind"], o["metadata"]["name"])
        assert key not in by, f"{key} is there twice"
        by[key] = o
        assert o["kind"] == "Namespace" or o["metadata"]["namespace"] == "blindsum", key

    roles = ["coordinator", "keyholder"] + [f"party-{k}" for k in range(parties)]
    assert {name for kind, name in by if kind == "Secret"} == set(roles)
    for role in roles:
        data = by["Secret", role]["data"]
        told = json.loads(base64.b64decode(data["role.json"], validate=True))
        assert told["self"] == role
        assert ("secret.key" in data) == (role == "keyholder"), f"{role} has {sorted(data)}"
        for path_key in ("identity", "public_key"):
            where = told["files"][path_key]
            assert where.startswith("/run/secrets/"), where

    jobs = {name: o for (kind, name), o in by.items() if kind == "Job"}
    assert set(jobs) == {"supervisor", "coordinator", "keyholder", "party"}
    for name, job in jobs.items():
        assert job["spec"]["suspend"] is True, "the data are not in the claim yet"
        pod = job["spec"]["template"]["spec"]
        labels = job["spec"]["template"]["metadata"]["labels"]
        assert labels["blindsum/role"] == name
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] > 0
        assert pod["automountServiceAccountToken"] is False and pod["restartPolicy"] == "Never"
        volumes = {v["name"] for v in pod["volumes"]}
        for container in pod.get("initContainers", []) + pod["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            for m in container["volumeMounts"]:
                assert m["name"] in volumes, f"{name}: no volume {m['name']}"
        given = [s["secret"]["name"] for v in pod["volumes"] if "projected" in v for s in v["projected"]["sources"]]
        expected = {"supervisor": [], "party": [r for r in roles if r.startswith("party-")]}.get(name, [name])
        assert given == expected, f"{name} is given {given}"

    party = jobs["party"]["spec"]
    assert (party["completionMode"], party["completions"], party["parallelism"]) == ("Indexed", parties, parties)
    pod = party["template"]["spec"]
    assert mounts(pod["initContainers"][0])["/given"]["subPathExpr"] == "party-$(PARTY)"
    assert mounts(pod["containers"][0])["/data"]["subPathExpr"] == "roles/party-$(PARTY)/data"
    coordinator = jobs["coordinator"]["spec"]["template"]["spec"]["containers"][0]
    assert set(mounts(coordinator)) == {"/run/secrets", "/out"}, "the coordinator has no data"

    # Who may call whom: exactly the ring.
    calls = set()
    for (kind, name), o in by.items():
        if kind != "NetworkPolicy":
            continue
        assert o["spec"]["policyTypes"] == ["Ingress", "Egress"]
        assert o["spec"]["podSelector"]["matchLabels"] == {"blindsum/role": name}
        for rule in o["spec"]["egress"]:
            for peer in rule.get("to", []):
                calls.add((name, peer["podSelector"]["matchLabels"]["blindsum/role"], rule["ports"][0]["port"], "out"))
            assert "to" in rule or {p["port"] for p in rule["ports"]} == {53}, f"{name} may reach anybody"
        for rule in o["spec"]["ingress"]:
            for peer in rule["from"]:
                calls.add((peer["podSelector"]["matchLabels"]["blindsum/role"], name, rule["ports"][0]["port"], "in"))
    ring = {("party", "coordinator", 7300), ("party", "keyholder", 7301), ("keyholder", "coordinator", 7300)}
    assert calls == {c + (way,) for c in ring for way in ("in", "out")}, calls
    for role, port in (("coordinator", 7300), ("keyholder", 7301)):
        spec = by["Service", role]["spec"]
        assert spec["selector"] == {"blindsum/role": role} and spec["ports"][0]["port"] == port
    print(f"{len(objects)} objects for {parties} parties: structure good")


main()
