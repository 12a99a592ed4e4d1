import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    environment: "jsdom",
    include: ["{ui,chat}/src/**/*.test.{ts,tsx}"],
  },
});
