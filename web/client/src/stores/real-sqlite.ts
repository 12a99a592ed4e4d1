// SQLite itself, for tests: Node's own where it has one, else Python's in a child process. Not part of what is shipped.

import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { SqliteConnection, SqliteRow, SqliteValue } from "./sqlite.ts";

/** Opens files. Each call of `execute` counts as one call of the driver. */
export interface RealSqlite {
  connect(file: string): Promise<SqliteConnection>;
  end(): void;
}

export async function realSqlite(): Promise<RealSqlite> {
  return (await nodes()) ?? pythons();
}

interface NodeSqlite {
  readonly DatabaseSync: new (
    file: string,
  ) => {
    prepare(sql: string): { all(...values: SqliteValue[]): SqliteRow[] };
    close(): void;
  };
}

async function nodes(): Promise<RealSqlite | undefined> {
  const name = "node:sqlite";
  const found = (await import(/* @vite-ignore */ name).catch(() => undefined)) as
    | NodeSqlite
    | undefined;
  if (!found) return undefined;
  return {
    async connect(file) {
      const database = new found.DatabaseSync(file);
      return {
        execute: (sql, values) => database.prepare(sql).all(...values),
        close: () => database.close(),
      };
    },
    end() {},
  };
}

const program = `
import json, sqlite3, sys
connections = {}
for line in sys.stdin:
    asked = json.loads(line)
    told = {}
    try:
        if asked["do"] == "open":
            connections[asked["on"]] = sqlite3.connect(asked["file"], isolation_level=None)
        elif asked["do"] == "close":
            connections.pop(asked["on"]).close()
        else:
            cursor = connections[asked["on"]].execute(asked["sql"], asked["values"])
            names = [column[0] for column in cursor.description or ()]
            told["rows"] = [dict(zip(names, row)) for row in cursor.fetchall()]
    except Exception as error:
        told["error"] = str(error)
    print(json.dumps(told), flush=True)
`;

interface Child {
  readonly process: ChildProcess;
  ask(asked: object): Promise<readonly SqliteRow[]>;
}

function pythons(): RealSqlite {
  // A process for each connection: two that wait for each other's locks must not wait in one.
  const children: Child[] = [];
  const idle: Child[] = [];
  return {
    async connect(file) {
      const child = idle.pop() ?? startChild();
      if (!children.includes(child)) children.push(child);
      try {
        await child.ask({ do: "open", file });
      } catch (error) {
        idle.push(child);
        throw error;
      }
      return {
        execute: (sql, values) => child.ask({ do: "execute", sql, values }),
        async close() {
          await child.ask({ do: "close" });
          idle.push(child);
        },
      };
    },
    end() {
      for (const child of children) child.process.stdin?.end();
    },
  };
}

function startChild(): Child {
  const process = spawn("python3", ["-c", program], { stdio: ["pipe", "pipe", "inherit"] });
  const waiting: ((line: string) => void)[] = [];
  createInterface({ input: process.stdout }).on("line", (line) => waiting.shift()?.(line));
  return {
    process,
    ask: (asked) =>
      new Promise((resolve, reject) => {
        waiting.push((line) => {
          const told = JSON.parse(line) as { rows?: SqliteRow[]; error?: string };
          if (told.error === undefined) resolve(told.rows ?? []);
          else reject(new Error(told.error));
        });
        process.stdin.write(`${JSON.stringify({ on: 1, ...asked })}\n`);
      }),
  };
}
