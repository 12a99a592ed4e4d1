import { describeStore } from "./conformance.ts";
import { memoryStore } from "./memory.ts";

describeStore({
  name: "a store in memory",
  outlives: false,
  place() {
    const store = memoryStore();
    return { open: () => store };
  },
});
