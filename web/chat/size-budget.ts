import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";

/** Print what a phone has to fetch, and fail the build where the scripts outgrow the budget. */
export function sizeBudget(limit_kB: number): Plugin {
  return {
    name: "size-budget",
    apply: "build",
    writeBundle(_, bundle) {
      let scripts_bytes = 0;
      let other_bytes = 0;
      for (const file of Object.values(bundle)) {
        const size_bytes = gzipSync(file.type === "chunk" ? file.code : file.source, {
          level: 9,
        }).length;
        if (file.type === "chunk") scripts_bytes += size_bytes;
        else other_bytes += size_bytes;
      }
      const scripts_kB = scripts_bytes / 1000;
      this.info(
        `gzipped: scripts ${scripts_kB.toFixed(1)} of ${limit_kB} kB, the rest ${(other_bytes / 1000).toFixed(1)} kB`,
      );
      if (scripts_kB > limit_kB) this.error(`scripts are over their ${limit_kB} kB`);
    },
  };
}
