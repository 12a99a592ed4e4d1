import { IDBFactory } from "fake-indexeddb";
import { expect, test } from "vitest";
import { openDeviceStore } from "./device-store.ts";
import { newTurn } from "./turn.ts";

const older = { id: "a", startedAt: 1, turns: [] };
const newer = { id: "b", startedAt: 2, turns: [newTurn("t", "Question", "fast")] };

test.each([
  ["IndexedDB", new IDBFactory(), true],
  ["memory, where there is no IndexedDB", null, false],
  ["memory, where IndexedDB is denied", denied(), false],
])("conversations are kept in %s", async (_, factory, isLasting) => {
  const store = await openDeviceStore(factory);

  await store.keep(older);
  await store.keep({ ...newer, turns: [] });
  await store.keep(newer);
  const kept = await store.list();
  await store.remove("b");

  expect(store.isLasting).toBe(isLasting);
  expect(kept).toEqual([newer, older]);
  expect(await store.list()).toEqual([older]);
});

test("a page that comes back finds them", async () => {
  const factory = new IDBFactory();
  await (await openDeviceStore(factory)).keep(newer);

  expect(await (await openDeviceStore(factory)).list()).toEqual([newer]);
});

test("a handle that died in the background is opened again", async () => {
  const factory = new IDBFactory();
  const handles: IDBDatabase[] = [];
  const open = factory.open.bind(factory);
  factory.open = (...name) => {
    const request = open(...name);
    request.addEventListener("success", () => handles.push(request.result));
    return request;
  };
  const store = await openDeviceStore(factory);

  handles[0]?.close();
  await store.keep(newer);

  expect(await store.list()).toEqual([newer]);
  expect(handles).toHaveLength(2);
});

function denied(): IDBFactory {
  const factory = new IDBFactory();
  factory.open = () => {
    throw new DOMException("The operation is insecure.", "SecurityError");
  };
  return factory;
}
