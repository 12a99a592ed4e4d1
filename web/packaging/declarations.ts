import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";

const tsc = fileURLToPath(new URL("../node_modules/.bin/tsc", import.meta.url));

/** Write the declarations that `project` makes beside what was built into `folder`. */
export function declarations(project: string, folder: string): Plugin {
  return {
    name: "declarations",
    apply: "build",
    closeBundle() {
      execFileSync(tsc, ["--project", project], { stdio: "inherit" });
      for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
        if (!name.endsWith(".d.ts")) continue;
        const file = join(folder, name);
        // The compiler leaves our own endings in declarations (rewriteRelativeImportExtensions is about what runs).
        const text = readFileSync(file, "utf8").replaceAll(
          /(["']\.{1,2}\/[^"']+)\.tsx?(["'])/g,
          "$1.js$2",
        );
        writeFileSync(file, text);
      }
    },
  };
}
