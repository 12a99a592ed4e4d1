// Prints what a page without a bundler fetches for each entry of a package, gzipped: its file and all of ours that this imports.
// Fails where the main entry is over its budget.
//
//     node packaging/check-sizes.mjs client=12 react=2

import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const root = fileURLToPath(new URL("..", import.meta.url));
const over = process.argv.slice(2).filter((argument) => {
  const [folder = "", budget] = argument.split("=");
  const manifest = JSON.parse(readFileSync(resolve(root, folder, "package.json"), "utf8"));
  const sizes_kB = Object.entries(manifest.exports).map(([name, target]) => {
    const files = fetched(resolve(root, folder, target.default));
    const bytes = [...files.values()].map((code) => gzipSync(code, { level: 9 }).length);
    return [name, bytes.reduce((sum, size) => sum + size, 0) / 1000];
  });
  for (const [name, size_kB] of sizes_kB) {
    const limit = name === "." ? ` of ${budget}` : "";
    console.log(`${manifest.name}${name.slice(1)}`.padEnd(36), `${size_kB.toFixed(2)}${limit} kB`);
  }
  return sizes_kB.some(([name, size_kB]) => name === "." && size_kB > Number(budget));
});

if (over.length > 0) {
  console.error(`over budget: ${over.join(", ")} (kB, gzipped)`);
  process.exitCode = 1;
}

/** The files that are there once `path` has been imported, with what is in them. */
function fetched(path, files = new Map()) {
  if (files.has(path)) return files;
  const code = readFileSync(path, "utf8");
  files.set(path, code);
  for (const [, name] of code.matchAll(/\b(?:from|import)\s*["'](\.[^"']+)["']/g)) {
    fetched(resolve(dirname(path), name), files);
  }
  return files;
}
