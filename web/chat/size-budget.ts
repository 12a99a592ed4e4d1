import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";

/** Of scripts, gzipped: what the first paint fetches, and everything there is. */
export interface Budget {
  readonly first_kB: number;
  readonly all_kB: number;
}

/** Print what a phone has to fetch, and fail the build where the scripts outgrow the budget. */
export function sizeBudget({ first_kB, all_kB }: Budget): Plugin {
  return {
    name: "size-budget",
    apply: "build",
    writeBundle(_, bundle) {
      const files = Object.values(bundle);
      const chunks = files.filter((file) => file.type === "chunk");
      const first = new Set<string>();
      const fetched = chunks.filter(({ isEntry }) => isEntry).map(({ fileName }) => fileName);
      for (const name of fetched) {
        if (first.has(name)) continue;
        first.add(name);
        fetched.push(...(chunks.find(({ fileName }) => fileName === name)?.imports ?? []));
      }
      const sizes = [
        ["scripts of the first paint", chunks.filter((each) => first.has(each.fileName)), first_kB],
        ["all scripts", chunks, all_kB],
        ["the rest", files.filter((file) => file.type !== "chunk"), Number.POSITIVE_INFINITY],
      ] as const;
      const told = sizes.map(([what, its, limit_kB]) => {
        const bytes = its.map((file) => (file.type === "chunk" ? file.code : file.source));
        const kB = bytes.reduce((sum, each) => sum + gzipSync(each, { level: 9 }).length, 0) / 1000;
        const isOver = kB > limit_kB;
        return {
          isOver,
          words: `${what} ${kB.toFixed(1)}${limit_kB < 1e9 ? ` of ${limit_kB}` : ""} kB`,
        };
      });
      this.info(`gzipped: ${told.map(({ words }) => words).join(", ")}`);
      const over = told.filter(({ isOver }) => isOver).map(({ words }) => words);
      if (over.length > 0) this.error(`over the budget: ${over.join(", ")}`);
    },
  };
}
