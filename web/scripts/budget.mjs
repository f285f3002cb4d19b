/** Holds the built console to its size: `npm run build` fails when a budget is broken. */
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

/** Kibibytes after gzip. First load on a slow mobile link is what these numbers protect. */
const BUDGETS = { "initial JavaScript": 230, "initial CSS": 45, terminal: 150 };

const dist = new URL("../dist/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL(".manifest.json", dist), "utf8"));

/** Every chunk that loads together with `name`, each once. */
function together(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  for (const other of manifest[name].imports ?? []) together(other, found);
  return found;
}

function size(files) {
  const sum = [...new Set(files)]
    .map((file) => gzipSync(readFileSync(new URL(file, dist))).length)
    .reduce((total, bytes) => total + bytes, 0);
  return sum / 1024;
}

const initial = together("index.html");
const terminal = [...together("src/terminal/screen.tsx")].filter((name) => !initial.has(name));
const measured = {
  "initial JavaScript": size([...initial].map((name) => manifest[name].file)),
  "initial CSS": size([...initial].flatMap((name) => manifest[name].css ?? [])),
  terminal: size(terminal.flatMap((name) => [manifest[name].file, ...(manifest[name].css ?? [])])),
};

let broken = false;
for (const [name, limit] of Object.entries(BUDGETS)) {
  const over = measured[name] > limit;
  broken ||= over;
  console.log(`${over ? "OVER" : "ok  "} ${name}: ${measured[name].toFixed(1)} of ${limit} KiB`);
}
process.exitCode = broken ? 1 : 0;
