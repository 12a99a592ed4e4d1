/** A storage of the page that can be written to, or null where the browser denies it. */
export function storageOf(kind: "localStorage" | "sessionStorage"): Storage | null {
  try {
    const storage = window[kind];
    storage.setItem("frontdesk.probe", "");
    storage.removeItem("frontdesk.probe");
    return storage;
  } catch {
    return null;
  }
}
