// The peer Emmett: its event store for PostgreSQL, `@event-driven-io/emmett-postgresql`, as documented; see
// benchmarks/peers. It runs with its own packages, from the folder in which it is started. Emmett reads the whole store
// only by consumers, so `read_all` is not measured.

import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const require = createRequire(`${process.cwd()}/`);
const { getPostgreSQLEventStore } = require("@event-driven-io/emmett-postgresql");

const DATA = { sku: "MUG-1", quantity: 2, price: 12.5, customer: "customer-17", note: "x".repeat(60) };
const STREAMS_OF_A_PROCESS = 20;
const WARM_UP_CALLS = 20;

const openStore = () => getPostgreSQLEventStore(process.env.PEER_URL);
const events = (number) => Array.from({ length: number }, () => ({ type: "Measured", data: DATA }));

async function rate(work, seconds) {
  const began = performance.now();
  let done = 0;
  let now = began;
  while ((now = performance.now()) < began + seconds * 1000) done += await work();
  return (done / (now - began)) * 1000;
}

const works = {
  async append({ processes, batch, seconds }) {
    const children = Array.from({ length: processes }, () => fork(fileURLToPath(import.meta.url), ["append"]));
    const answers = () => Promise.all(children.map(async (child) => (await once(child, "message"))[0]));
    const ready = answers();
    for (const child of children) child.send({ batch, seconds });
    await ready;
    const rates = answers();
    const ended = Promise.all(children.map((child) => once(child, "exit")));
    for (const child of children) child.send("go");
    const total = (await rates).reduce((sum, each) => sum + each, 0);
    await ended;
    return total;
  },

  async prepare({ history }) {
    const store = openStore();
    for (const length of history) {
      for (let start = 0; start < length; start += 1000) {
        await store.appendToStream(`history-${length}`, events(Math.min(1000, length - start)));
      }
    }
    await store.close();
    return 0;
  },

  async history({ events: length, seconds }) {
    const store = openStore();
    const found = await rate(async () => (await store.readStream(`history-${length}`)).events.length, seconds);
    await store.close();
    return found;
  },
};

// One of several processes that append: it reports when it has warmed up, and its events per second.
async function appendInChild() {
  const [{ batch, seconds }] = await once(process, "message");
  const store = openStore();
  let calls = 0;
  const work = async () => {
    await store.appendToStream(`stream-${process.pid}-${calls++ % STREAMS_OF_A_PROCESS}`, events(batch));
    return batch;
  };
  for (let call = 0; call < WARM_UP_CALLS; call++) await work();
  const go = once(process, "message");
  process.send(0);
  await go;
  process.send(await rate(work, seconds));
  await store.close();
  process.disconnect();
}

async function serve() {
  const store = openStore();
  await store.schema.migrate();
  await store.close();
  // The version in package.json, because the package does not export its version.
  const version = JSON.parse(readFileSync("package.json")).dependencies["@event-driven-io/emmett-postgresql"];
  for await (const line of createInterface({ input: process.stdin })) {
    const { do: what, ...parameters } = JSON.parse(line);
    let answer;
    try {
      answer =
        what === "about" ? { version, works: ["append", "history"] } : { rate: await works[what](parameters) };
    } catch (error) {
      answer = { error: String(error) };
    }
    console.log(JSON.stringify(answer));
  }
}

await (process.argv[2] === "append" ? appendInChild() : serve());
