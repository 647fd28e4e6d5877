// kubernetes_schema.mjs MANIFESTS: checks every object against the schemas of the Kubernetes API, as the npm package
// kubernetes-models carries them. It must be installed in the current folder, and Python's yaml reads the file.
import { execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.cwd(), "x.js"));
const read = "import json, sys, yaml; print(json.dumps([o for o in yaml.safe_load_all(open(sys.argv[1])) if o]))";
const objects = JSON.parse(execFileSync("python3", ["-c", read, process.argv[2]], { maxBuffer: 1 << 28 }));
for (const object of objects) {
  const group = object.apiVersion;
  const kind = require(`kubernetes-models/${group}/${object.kind}`)[object.kind];
  new kind(object).validate();
}
// The check itself must be able to fail.
const { Job } = require("kubernetes-models/batch/v1/Job");
const broken = structuredClone(objects.find((o) => o.kind === "Job"));
broken.spec.completions = "five";
let refused = false;
try {
  new Job(broken).validate();
} catch {
  refused = true;
}
if (!refused) throw new Error("the schemas accept a Job whose completions are a word");
console.log(`${objects.length} objects: as the API's schemas say`);
