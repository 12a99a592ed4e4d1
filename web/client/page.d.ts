// All that the client knows of a page beside what workers have as well. It stands in for the types of the DOM, which would let
// anything of a page into the core.

interface Document extends EventTarget {
  readonly visibilityState: "hidden" | "visible";
}

interface Navigator extends WorkerNavigator {}

declare var document: Document;
