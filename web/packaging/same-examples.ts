// `npm test` draws the same examples every time, so that it fails for what was changed; `npm run test:slow` looks for what
// nobody has seen yet.

import { configureGlobal } from "fast-check";

if (!process.env["FRONTDESK_NEW_EXAMPLES"]) configureGlobal({ seed: 20261123 });
