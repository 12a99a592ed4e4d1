// Prints what a page without a bundler fetches for each entry of a package, gzipped: its file and all of ours that this imports, and
// what it fetches later beside that, when it is first needed. Fails where the main entry is over its budgets.
//
//     node packaging/check-sizes.mjs client=12+12 react=2

import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const AT_ONCE = /\b(?:from|import)\s*["'`](\.[^"'`]+)["'`]/g;
const LATER = /\bimport\(\s*["'`](\.[^"'`]+)["'`]/g;

const root = fileURLToPath(new URL("..", import.meta.url));
const over = process.argv.slice(2).filter((argument) => {
  const [folder = "", budget = ""] = argument.split("=");
  const budgets_kB = [...budget.split("+").map(Number), 0];
  const manifest = JSON.parse(readFileSync(resolve(root, folder, "package.json"), "utf8"));
  return Object.entries(manifest.exports).filter(([name, target]) => {
    const sizes_kB = sizesOf_kB(resolve(root, folder, target.default));
    const limits = name === "." ? ` of ${budget}` : "";
    const parts = sizes_kB.filter((size) => size > 0).map((size) => size.toFixed(2));
    console.log(`${manifest.name}${name.slice(1)}`.padEnd(36), `${parts.join(" + ")}${limits} kB`);
    return name === "." && sizes_kB.some((size, part) => size > budgets_kB[part]);
  }).length;
});

if (over.length > 0) {
  console.error(`over budget: ${over.join(", ")} (kB, gzipped)`);
  process.exitCode = 1;
}

/** What is fetched at once, and later beside that. */
function sizesOf_kB(path) {
  const first = fetched(path, [AT_ONCE]);
  const all = fetched(path, [AT_ONCE, LATER]);
  const sizeOf = (files) =>
    files.reduce((sum, [, code]) => sum + gzipSync(code, { level: 9 }).length, 0) / 1000;
  return [sizeOf([...first]), sizeOf([...all].filter(([file]) => !first.has(file)))];
}

/** The files that are there once `path` has been imported in these ways, with what is in them. */
function fetched(path, ways, files = new Map()) {
  if (files.has(path)) return files;
  const code = readFileSync(path, "utf8");
  files.set(path, code);
  for (const way of ways)
    for (const [, name] of code.matchAll(way)) fetched(resolve(dirname(path), name), ways, files);
  return files;
}
