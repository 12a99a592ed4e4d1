import { fileURLToPath } from "node:url";
import { defaultClientConditions, defaultServerConditions } from "vite";
import { defineConfig } from "vitest/config";

// Our packages' sources, in place of what was built of them.
const source = "@frontdesk/source";
const resolve = { conditions: [source, ...defaultClientConditions] };
const ssr = { resolve: { conditions: [source, ...defaultServerConditions] } };

export default defineConfig({
  test: {
    projects: [
      {
        // No page: what needs one says so at its head.
        resolve,
        ssr,
        test: {
          name: "client",
          environment: "node",
          setupFiles: ["packaging/same-examples.ts"],
          include: ["{client,signals}/src/**/*.test.ts"],
        },
      },
      {
        resolve,
        ssr,
        test: {
          name: "page",
          environment: "jsdom",
          include: ["{ui,chat,react}/src/**/*.test.{ts,tsx}"],
        },
      },
      {
        resolve: {
          ...resolve,
          alias: {
            "react-native": fileURLToPath(
              new URL("examples/react-native/testing/react-native.tsx", import.meta.url),
            ),
          },
        },
        ssr,
        test: {
          name: "example",
          environment: "jsdom",
          include: ["examples/react-native/src/**/*.test.{ts,tsx}"],
        },
      },
    ],
  },
});
