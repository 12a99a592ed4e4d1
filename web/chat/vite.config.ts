import { defineConfig } from "vite";
import { sizeBudget } from "./size-budget.ts";

const server = "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [sizeBudget({ first_kB: 45, all_kB: 120 })],
  build: {
    outDir: "../../src/frontdesk/web/chat",
    emptyOutDir: true,
    target: ["chrome111", "firefox113", "safari16.4"],
    // What is fetched later depends on nothing but what is there already: there is nothing to fetch ahead for it.
    modulePreload: false,
    // A data: address in the style is one more thing for a Content-Security-Policy to allow.
    assetsInlineLimit: 0,
  },
  server: { proxy: { "/v1": server, "/api": server } },
});
