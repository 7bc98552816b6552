import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { LogEvent } from '../../domain/event.ts';
import { type HubProcess, startHubProcess } from '../support/hub-process.ts';

/** 3 rounds in the suite; NEXUS_LONG=1 makes it 50. */
const rounds = process.env.NEXUS_LONG === '1' ? 50 : 3;
const writers = 64;

type Acknowledged = { readonly position: string; readonly stream: string; readonly mark: string };

/** A small generator with a seed, so that a failing run can be run again. */
const random = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return seed / 2 ** 32;
};

const send = async (
  url: string,
  method: string,
  body: unknown,
): Promise<{ readonly status: number; readonly answer: unknown }> => {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, answer: await response.json() };
};

/** Writes until the hub is gone; returns what it was told is durable. */
const write = async (hub: HubProcess, name: string, next: () => number): Promise<Acknowledged[]> => {
  const acknowledged: Acknowledged[] = [];
  for (let index = 0; ; index++) {
    const mark = `${name}-${index}`;
    const place = Math.floor(next() * 50);
    const [path, method, stream, body] =
      next() < 0.5
        ? [`/state/key-${place}`, 'PUT', `state-key-${place}`, { value: mark }]
        : [`/events/topic-${place}`, 'POST', `topic-topic-${place}`, { payload: mark }];
    try {
      const { status, answer } = await send(hub.url + path, method, body);
      if (status !== 200 && status !== 201) throw new TypeError(`status ${status}`);
      acknowledged.push({ position: String((answer as { position: unknown }).position), stream, mark });
    } catch {
      return acknowledged;
    }
  }
};

const wholeLog = async (hub: HubProcess): Promise<LogEvent[]> => {
  const events: LogEvent[] = [];
  for (let after = 'start'; ; ) {
    const response = await fetch(`${hub.url}/log?limit=1000&after=${after}`);
    const page = (await response.json()) as { events: LogEvent[]; position: string; more: boolean };
    events.push(...page.events);
    if (!page.more) return events;
    after = page.position;
  }
};

const markOf = ({ type, data }: LogEvent): unknown =>
  type === 'StateSet' ? (data as { value: unknown }).value : (data as { payload?: unknown }).payload;

test('kill -9 of the hub under 64 writers › every acknowledged event is there, once, in order, and shown', async (t) => {
  t.timeout(20 * 60_000);
  const folder = await mkdtemp(join(tmpdir(), 'nexus-kill-'));
  const seed = Number(process.env.NEXUS_TEST_SEED ?? 7);
  t.log(`seed ${seed}, ${rounds} rounds`);
  const next = random(seed);
  const acknowledged: Acknowledged[] = [];
  let hub = await startHubProcess(folder);
  try {
    for (let round = 0; round < rounds; round++) {
      const writing = Array.from({ length: writers }, (_, index) => write(hub, `${round}-${index}`, next));
      // The moment is drawn by how much was acknowledged, not by a clock: any place in the work may be hit.
      const killAfter = 20 + Math.floor(next() * 1_500);
      let position = '';
      for (let seen = 0; seen < killAfter; seen++) {
        position = ((await (await fetch(`${hub.url}/health`)).json()) as { log: { position: string } }).log
          .position;
        if (Number.parseInt(position, 16) > acknowledged.length + killAfter) break;
      }
      await hub.kill('SIGKILL');
      for (const done of await Promise.all(writing)) acknowledged.push(...done);
      hub = await startHubProcess(folder);
    }
    t.true(acknowledged.length > rounds * 10);

    const events = await wholeLog(hub);
    const byPosition = new Map(events.map((event) => [String(event.position), event]));
    for (const { position, stream, mark } of acknowledged) {
      const event = byPosition.get(position);
      if (event?.stream !== stream || markOf(event) !== mark)
        t.fail(`${mark} was acknowledged at ${position} and is not there`);
    }
    const marks = events.map(markOf).filter((mark) => mark !== undefined);
    t.is(new Set(marks).size, marks.length, 'nothing is there twice');
    t.is(new Set(events.map(({ id }) => id)).size, events.length);
    const heads = new Map<string, number>();
    let last = '';
    for (const { stream, revision, position } of events) {
      if (revision !== (heads.get(stream) ?? -1) + 1) t.fail(`${stream} jumps to revision ${revision}`);
      if (position <= last) t.fail(`${position} stands behind ${last}`);
      heads.set(stream, revision);
      last = position;
    }
    t.log(`${acknowledged.length} acknowledged, ${events.length} in the log`);

    const live = await shown(hub);
    await hub.kill('SIGTERM');
    await rm(join(folder, 'nexus-data/read-models'), { recursive: true });
    hub = await startHubProcess(folder);
    t.deepEqual(await shown(hub), live, 'read models equal a rebuild');
  } finally {
    await hub.kill('SIGKILL');
    await rm(folder, { recursive: true });
  }
});

/** All that the read models show. */
const shown = async (hub: HubProcess): Promise<unknown> => {
  const answers: unknown[] = [];
  for (const path of ['/state?limit=1000', '/services', '/topics']) {
    const body = (await (await fetch(hub.url + path)).json()) as Record<string, unknown>;
    delete body.position;
    answers.push(body);
  }
  for (let key = 0; key < 50; key++) {
    answers.push(await (await fetch(`${hub.url}/state/key-${key}/history?limit=1000`)).json());
  }
  return answers;
};
