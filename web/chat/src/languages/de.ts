import type { Language } from "./language.ts";

export const words: Language = {
  direction: "ltr",

  you: "Sie",
  conversation: "Gespräch",
  newConversation: "Neues Gespräch",
  startedNew: "Ein neues Gespräch.",
  goBack: "Zurück zum vorigen",
  latest: "Zum Neuesten",
  message: "Nachricht",
  writeMessage: "Nachricht schreiben",
  send: "Senden",
  stop: "Anhalten",
  model: "Modell",
  tryAgain: "Noch einmal versuchen",
  copy: "Kopieren",
  copied: "Kopiert",
  copyAnswer: "Antwort kopieren",
  notCopied: "Nicht kopiert: Dieser Browser erlaubt es nicht.",
  code: "Code",
  table: "Tabelle",
  codeBlock: "Ein Stück Code.",

  ready: "Bereit",
  answering: "Antwortet",
  offline: "Offline",
  unreachable: "Nicht erreicht",
  connecting: "Verbindet",

  offlineLine: "Offline. Sie können lesen und schreiben; Nachrichten werden später gesendet.",
  unreachableLine: (name) =>
    `${name} ist nicht erreichbar. Sie können lesen und schreiben; Nachrichten werden später gesendet.`,
  notKeptLine: "Dieser Browser bewahrt hier nichts auf: Das Gespräch endet mit dieser Seite.",
  developmentLine: "Entwicklung: offen für alle an diesem Rechner.",

  tokenTitle: "Hier wird ein Token gebraucht",
  tokenText: "Sie bekommen es von denen, die diesen Server betreiben. Es bleibt nur in diesem Tab.",
  tokenRefused: "Dieses Token gilt nicht, oder nicht mehr. Bitte fügen Sie ein anderes ein.",
  tokenLabel: "Token",
  useToken: "Dieses Token verwenden",

  greetings: ["Guten Morgen.", "Guten Tag.", "Guten Abend."],
  atYourService: "Was kann ich für Sie tun?",
  askAnything: "Fragen Sie irgendetwas, oder beginnen Sie hiermit.",
  starters: [
    "Erkläre in fünf Sätzen, wie ein Regenbogen entsteht",
    "Vergleiche Bahn, Auto und Flugzeug für eine Reise von 600 km in einer Tabelle",
    "Schreibe einem Nachbarn ein paar freundliche Zeilen wegen eines Pakets",
  ],

  states: {
    saved: "Auf diesem Gerät gespeichert",
    sending: "Wird gesendet",
    received: "Angekommen",
    thinking: "Denkt nach",
    writing: "Schreibt",
    done: "Fertig",
    stopped: "Angehalten",
    failed: "Konnte nicht beantwortet werden",
    interrupted: "Unterbrochen",
  },
  interrupted:
    "Unterbrochen: Die Seite wurde während der Antwort geschlossen. Was geschrieben war, ist noch da.",
  shortened: {
    max_output_tokens: "Die Antwort hat ihre größte Länge erreicht und endet hier.",
    content_filter: "Den Rest der Antwort haben die Regeln dieses Servers zurückgehalten.",
    other: "Die Antwort endete, bevor sie vollständig war.",
  },

  failed: (reason) => `Konnte nicht beantwortet werden: ${reason}`,
  reasons: {
    lost: () => "Die Verbindung ist abgebrochen. Was geschrieben war, ist noch da.",
    unreached: () => "Der Server war nicht zu erreichen. Ihre Nachricht ist noch da.",
    tooMany: (when) =>
      `Es waren zu viele Nachrichten in kurzer Zeit. Ihre ist noch da; versuchen Sie es ${when} wieder.`,
    overloaded: (when) =>
      `Gerade ist zu viel zu tun. Ihre Nachricht ist noch da; versuchen Sie es ${when} wieder.`,
    usedUp: () => "Das Kontingent ist vorerst aufgebraucht. Ihre Nachricht ist noch da.",
    noModel: () =>
      "Dieses Modell gibt es hier nicht. Ihre Nachricht ist noch da; wählen Sie ein anderes Modell.",
    tooLong: () => "Dieses Gespräch ist zu lang geworden. Bitte beginnen Sie ein neues.",
    signIn: () => "Die Anmeldung gilt nicht mehr. Ihre Nachricht ist noch da.",
    tooSlow: () => "Es hat zu lange gedauert. Ihre Nachricht ist noch da.",
    badAnswer: () => "Das Modell hat nicht geantwortet, wie es sollte. Ihre Nachricht ist noch da.",
    busyModel: (when) =>
      `Das Modell ist ausgelastet. Ihre Nachricht ist noch da; versuchen Sie es ${when} wieder.`,
    unknown: () => "Etwas ging schief. Ihre Nachricht ist noch da.",
  },
  soon: "gleich",
};
