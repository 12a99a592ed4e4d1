// What `@frontdesk/client/sessions` exports: suppliers for the server's own sessions, and what goes around suppliers.

export { attested } from "./attested.ts";
export { type CookieOptions, cookieSession } from "./cookie.ts";
export { anonymousSession, type Grant, type Granting, refreshingSession } from "./refreshing.ts";
