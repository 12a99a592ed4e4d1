// Random bytes of the platform.

/** So many bytes from WebCrypto. Throws where there is none: ids that others can guess, or have as well, are worse. */
export function platformRandom(count: number): Uint8Array {
  const source = globalThis.crypto;
  if (!source?.getRandomValues) {
    throw new Error(
      "There is no crypto.getRandomValues here. Hand in `random`, or load react-native-get-random-values.",
    );
  }
  return source.getRandomValues(new Uint8Array(count));
}
