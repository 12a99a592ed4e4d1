// How a package of ours is built: an ES module for each entry that its package.json exports, at the path of its source, and
// its declarations. Pages run what comes out without a bundler.

import { copyFileSync, readFileSync } from "node:fs";
import { isAbsolute } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { declarations } from "./declarations.ts";

interface Manifest {
  readonly exports: Readonly<Record<string, { readonly "@frontdesk/source": string }>>;
}

/** The configuration of the package in whose folder the file `config` is. */
export function packageBuild(config: string) {
  const here = (path: string) => fileURLToPath(new URL(path, config));
  const { exports } = JSON.parse(readFileSync(here("package.json"), "utf8")) as Manifest;
  const sources = Object.values(exports).map((target) => target["@frontdesk/source"]);
  const main = here(exports["."]?.["@frontdesk/source"] ?? "");
  // Beside package.json npm packs it, whatever `files` says.
  const license = {
    name: "license",
    closeBundle: () => copyFileSync(here("../../LICENSE"), here("LICENSE")),
  };
  return defineConfig({
    plugins: [declarations(here("tsconfig.build.json"), here("dist")), license],
    build: {
      target: "es2022",
      sourcemap: true,
      reportCompressedSize: false,
      lib: {
        entry: Object.fromEntries(
          sources.map((path) => [path.replace(/^\.\/src\/|\.tsx?$/g, ""), here(path)]),
        ),
        formats: ["es"],
        fileName: (_, name) => `${name}.js`,
      },
      rolldownOptions: {
        external: (id) => !id.startsWith(".") && !isAbsolute(id),
        // "use client" stays where it is: at the head of what is built.
        onLog: (level, log, next) => log.code === "MODULE_LEVEL_DIRECTIVE" || next(level, log),
        output: {
          // Minified, so that a page without a bundler has the size that is promised.
          minify: true,
          // Who bundles it takes or leaves whole files (`sideEffects`).
          comments: { annotation: false },
          chunkFileNames: "shared/[name].js",
          // One file for all that the main entry is made of, whatever other entries have of it as well.
          codeSplitting: {
            groups: [
              {
                debugName: "main",
                name: (id, context) =>
                  reach(main, (each) => context.getModuleInfo(each)).has(id) ? "main" : null,
              },
            ],
          },
        },
      },
    },
  });
}

/** The modules that a module is made of, itself included; not those that it fetches later. */
function reach(
  module: string,
  infoOf: (id: string) => { readonly importedIds: readonly string[] } | null,
  found: Set<string> = new Set(),
): Set<string> {
  if (found.has(module)) return found;
  found.add(module);
  for (const each of infoOf(module)?.importedIds ?? []) reach(each, infoOf, found);
  return found;
}
