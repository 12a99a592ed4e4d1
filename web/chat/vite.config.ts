import { defineConfig } from "vite";
import { sizeBudget } from "./size-budget.ts";

const server = "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [sizeBudget(45)],
  build: {
    outDir: "../../src/frontdesk/web/chat",
    emptyOutDir: true,
    target: ["chrome111", "firefox113", "safari16.4"],
    // The polyfill would be an inline matter of its own; every target knows modulepreload.
    modulePreload: { polyfill: false },
    // A data: address in the style is one more thing for a Content-Security-Policy to allow.
    assetsInlineLimit: 0,
  },
  server: { proxy: { "/v1": server, "/api": server } },
});
