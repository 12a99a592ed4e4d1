// A store whose values nobody reads without the key: it seals what another store keeps. Keys stay as they are, for they are
// ids and give the order; each value is sealed together with its key, so none can be put in another one's place.

import {
  type Guard,
  type Json,
  type Listing,
  type Store,
  StoreError,
  type Write,
} from "../store.ts";
import { isSame } from "./same.ts";

/** Seals texts, each bound to a name. `open` rejects what was sealed by another key, for another name, or changed since. */
export interface Cipher {
  seal(text: string, name: string): Promise<string>;
  open(sealed: string, name: string): Promise<string>;
}

/** What tells whether the key is the right one. Behind all other keys. */
const proof = "~proof";

/** Keep everything in another store, sealed. That store is this one's alone; closing this closes it. */
export function encryptedStore(inner: Store, cipher: Cipher): Store {
  let proving: Promise<void> | undefined;

  /** Reject unless the key is that which everything was sealed with. */
  function ready(): Promise<void> {
    proving ??= prove().catch((error) => {
      proving = undefined;
      throw error;
    });
    return proving;
  }

  async function prove(): Promise<void> {
    const [kept] = await inner.get([proof]);
    if (kept === undefined) {
      const sealed = await seal(proof, proof);
      const isMine = await inner.commit([[proof, sealed]], [{ key: proof, is: undefined }]);
      return isMine ? undefined : prove();
    }
    try {
      await cipher.open(kept as string, proof);
    } catch (cause) {
      throw new StoreError("denied", "This is not the key that the store was sealed with.", {
        cause,
      });
    }
  }

  async function seal(key: string, value: Json): Promise<string> {
    try {
      return await cipher.seal(JSON.stringify(value), key);
    } catch (cause) {
      throw new StoreError("broken", `The value of ${key} could not be sealed.`, { cause });
    }
  }

  async function open(key: string, sealed: Json | undefined): Promise<Json | undefined> {
    if (sealed === undefined) return undefined;
    try {
      return JSON.parse(await cipher.open(sealed as string, key)) as Json;
    } catch (cause) {
      throw new StoreError("broken", `What is kept as ${key} was changed by somebody else.`, {
        cause,
      });
    }
  }

  return {
    async get(keys) {
      await ready();
      const sealed = await inner.get(keys);
      return Promise.all(keys.map((key, index) => open(key, sealed[index])));
    },

    async list(prefix: string, listing: Listing = {}) {
      await ready();
      // One more, for the proof is the last of all.
      const limit = listing.limit === undefined ? undefined : listing.limit + 1;
      const found = await inner.list(prefix, limit === undefined ? listing : { ...listing, limit });
      return Promise.all(
        found
          .filter(([key]) => key !== proof)
          .slice(0, listing.limit)
          .map(
            async ([key, sealed]): Promise<[string, Json]> => [
              key,
              (await open(key, sealed)) as Json,
            ],
          ),
      );
    },

    async commit(writes: readonly Write[], guards: readonly Guard[] = []) {
      await ready();
      const sealed = await Promise.all(
        writes.map(
          async ([key, value]): Promise<Write> => [
            key,
            value === undefined ? undefined : await seal(key, value),
          ],
        ),
      );
      for (;;) {
        const kept = await inner.get(guards.map(({ key }) => key));
        const values = await Promise.all(guards.map(({ key }, index) => open(key, kept[index])));
        if (!guards.every(({ is }, index) => isSame(values[index], is))) return false;
        // The same value sealed twice looks different: where one changed meanwhile, look again what it says.
        const same = guards.map(({ key }, index): Guard => ({ key, is: kept[index] }));
        if (await inner.commit(sealed, same)) return true;
      }
    },

    async wipe() {
      // With any key: who signs out need not have the right one.
      proving = undefined;
      await inner.wipe();
    },

    close() {
      inner.close();
    },

    isForgetful: inner.isForgetful === true,
  };
}

/** What is used of WebCrypto's `crypto`. */
export type Cryptography = Pick<Crypto, "subtle" | "getRandomValues">;

/**
 * Make a cipher of a key for AES-GCM (`crypto.subtle.generateKey({name: "AES-GCM", length: 256}, false, ["encrypt",
 * "decrypt"])`; one that cannot be exported may be kept in IndexedDB itself). Fit for 2^32 values a key: NIST SP 800-38D, 8.3.
 */
export function aesGcm(key: CryptoKey, cryptography: Cryptography = globalThis.crypto): Cipher {
  const algorithm = (iv: Uint8Array<ArrayBuffer>, name: string) => ({
    name: "AES-GCM",
    iv,
    additionalData: new TextEncoder().encode(name),
  });
  return {
    async seal(text, name) {
      const iv = cryptography.getRandomValues(new Uint8Array(12));
      const sealed = await cryptography.subtle.encrypt(
        algorithm(iv, name),
        key,
        new TextEncoder().encode(text),
      );
      return toBase64(iv) + toBase64(new Uint8Array(sealed));
    },

    async open(sealed, name) {
      // 12 bytes are 16 characters.
      const iv = fromBase64(sealed.slice(0, 16));
      const text = await cryptography.subtle.decrypt(
        algorithm(iv, name),
        key,
        fromBase64(sealed.slice(16)),
      );
      return new TextDecoder().decode(text);
    },
  };
}

function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let start = 0; start < bytes.length; start += 8192) {
    binary += String.fromCharCode(...bytes.subarray(start, start + 8192));
  }
  return btoa(binary);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < bytes.length; index++) bytes[index] = binary.charCodeAt(index);
  return bytes;
}
