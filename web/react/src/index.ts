"use client";

// What `@frontdesk/react` exports: a provider, and a hook for everything that the client shows.

export { FrontdeskProvider, useClient } from "./provider.tsx";
export { useObservable, useSelected } from "./use-observable.ts";
export { usePaced } from "./use-paced.ts";
export {
  useClientView,
  useConversation,
  useConversations,
  useFacts,
  useMessage,
  useTurn,
} from "./use-views.ts";
