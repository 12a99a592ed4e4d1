// What the app's attestation says of the app itself, beside who the person is.

import type { Asked, Need, Supplier } from "../session.ts";

const NAME = "Frontdesk-Attestation";

/** Say with each request what `attestation` says then; nothing where that is undefined. */
export function attested(
  supplier: Supplier,
  attestation: () => string | undefined | Promise<string | undefined>,
): Supplier {
  const attest = (need: Need): Need => ({
    ...need,
    async request(path, asked: Asked) {
      const word = await attestation();
      return need.request(path, {
        ...asked,
        headers: { ...asked.headers, ...(word && { [NAME]: word }) },
      });
    },
  });
  const supply = async (need: Need) => {
    const supplied = await supplier(attest(need));
    if (supplied === undefined) return undefined;
    const credential = typeof supplied === "string" ? { token: supplied } : supplied;
    return {
      ...credential,
      headers: async () => ({ ...(await credential.headers?.()), [NAME]: await attestation() }),
    };
  };
  return Object.assign(supply, {
    isKept: async (need: Need) => (await supplier.isKept?.(attest(need))) ?? false,
  });
}
