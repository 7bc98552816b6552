import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { startHubProcess } from '../support/hub-process.ts';
import { freePort } from '../support/mesh.ts';
import { request } from '../support/rest.ts';
import { isLong } from '../support/skip.ts';
import { frameInput, graphqlFrame, httpInput, messageInput, rawInput, socketBytes } from './fuzz/inputs.ts';
import { createRandom, type Random } from './fuzz/nonsense.ts';
import { isFault, sendFrames, sendHttp, sendMessages, sendRaw, sendSocketBytes } from './fuzz/senders.ts';

/** The whole run is told by it, and each batch by it and its own number. */
const seed = Number(process.env.NEXUS_TEST_SEED ?? 20_300_101);
const inputs = Number(process.env.NEXUS_FUZZ ?? (isLong ? 100_000 : 3_000));
/** Clients at once. */
const clients = 12;
const batchSize = 25;
/** Of a hub that has the heap of a small machine. */
const maxResidentMiB = 640;

const residentMiB = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1_024;

const many = <Item>(random: Random, make: (own: Random) => Item): Item[] =>
  Array.from({ length: batchSize }, () => make(random));

test(`${inputs} malformed inputs (seed ${seed}) › get no 500, end no hub, and a good request is answered all the time`, async (t) => {
  t.timeout(isLong ? 3_600_000 : 300_000);
  const folder = await mkdtemp(join(tmpdir(), 'nexus-fuzz-'));
  const endpoint = `tcp://127.0.0.1:${await freePort()}`;
  const unlimited = '100000000';
  const hub = await startHubProcess(folder, ['--log-level', 'error'], {
    NEXUS_ZMQ_COMMAND: endpoint,
    NEXUS_WS_FRAMES_PER_SEC: '0',
    NEXUS_RATE_LIMIT_READ_MAX: unlimited,
    NEXUS_RATE_LIMIT_WRITE_MAX: unlimited,
    NEXUS_RATE_LIMIT_INVOKE_MAX: unlimited,
  });
  const agent = new Agent({ keepAlive: true, maxSockets: clients * 4 });
  t.teardown(async () => {
    agent.destroy();
    await hub.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });
  const port = Number(new URL(hub.url).port);
  await request(hub.url, 'PUT', '/state/good', { body: { value: 'good' } });

  const statuses = new Set<number>();
  const faults: string[] = [];
  const check = (what: string, text: string): void => {
    if (isFault(text)) faults.push(`${what} → ${text.slice(0, 500)}`);
  };
  const batches: readonly ((random: Random) => Promise<void>)[] = [
    ...Array.from({ length: 6 }, () => async (random: Random) => {
      for (const input of many(random, httpInput)) {
        const { status, text } = await sendHttp(agent, port, input);
        statuses.add(status);
        if (status === 500 || isFault(text))
          faults.push(`${status} ${JSON.stringify(input).slice(0, 2_000)} ${input.body} → ${text}`);
      }
    }),
    async (random) => {
      const all = many(random, rawInput);
      await Promise.all(
        all.map(async (bytes) => check(bytes.toString('latin1'), await sendRaw(port, bytes))),
      );
    },
    async (random) => {
      const [path, protocol, make] =
        random.below(3) === 0
          ? (['/graphql', 'graphql-transport-ws', graphqlFrame] as const)
          : (['/ws', 'nexus.v1', frameInput] as const);
      const frames = many(random, make);
      check(frames.join('\n'), await sendFrames(port, path, protocol, frames));
    },
    async (random) => {
      const all = many(random, socketBytes);
      await Promise.all(
        all.map(async (bytes) => check(bytes.toString('hex'), await sendSocketBytes(port, bytes))),
      );
    },
    async (random) => {
      const messages = many(random, messageInput);
      check(messages.join('\n'), await sendMessages(endpoint, messages));
    },
  ];

  let next = 0;
  const client = async (): Promise<void> => {
    while (next < inputs / batchSize) {
      const number = next++;
      await batches[number % batches.length]?.(createRandom(seed + number));
      if (faults.length > 0) return;
    }
  };
  let done = false;
  const waitsMs: number[] = [];
  let mostMiB = 0;
  const probe = async (): Promise<void> => {
    while (!done) {
      const from = performance.now();
      const { status, body } = await request(hub.url, 'GET', '/state/good');
      waitsMs.push(performance.now() - from);
      if (status !== 200 || body.value !== 'good')
        faults.push(`a good request → ${status} ${JSON.stringify(body)}`);
      mostMiB = Math.max(mostMiB, residentMiB(hub.pid));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const probing = probe();
  await Promise.all(Array.from({ length: clients }, client)).finally(() => {
    done = true;
  });
  await probing;

  t.deepEqual(faults, []);
  t.is(hub.stderr(), '', 'the hub has logged an error');
  for (const status of [200, 201, 400, 404, 405, 409, 415, 422, ...(isLong ? [413] : [])])
    t.true(statuses.has(status), `the inputs reach ${status}`);
  t.true(mostMiB < maxResidentMiB, `${mostMiB} MiB`);
  const sorted = waitsMs.toSorted((a, b) => a - b);
  const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? 0;
  t.log(
    `${inputs} inputs; ${sorted.length} good requests: p99 ${p99.toFixed(1)} ms, max ${sorted.at(-1)?.toFixed(1)} ms; resident ${Math.round(mostMiB)} MiB at most`,
  );
  if (isLong) t.true(p99 < 100, `${p99} ms`);
  t.is(await hub.kill('SIGTERM'), 0, 'it ends as it should');
});
