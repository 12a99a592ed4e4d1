// What `@frontdesk/client/sessions` exports: suppliers for the server's own sessions, what goes around suppliers, and what those reject with.

export { SessionUnavailable, SignedOut } from "../refusals.ts";
export { attested } from "./attested.ts";
export { type CookieOptions, cookieSession } from "./cookie.ts";
export { anonymousSession, type Grant, type Granting, refreshingSession } from "./refreshing.ts";
