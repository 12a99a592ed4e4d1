// How a package of ours is built: an ES module for each entry that its package.json exports, at the path of its source, and
// its declarations. Pages run what comes out without a bundler.

import { readFileSync } from "node:fs";
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
  return defineConfig({
    plugins: [declarations(here("tsconfig.build.json"), here("dist"))],
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
        // Minified, so that a page without a bundler has the size that is promised.
        output: { minify: true, chunkFileNames: "shared/[name].js" },
      },
    },
  });
}
