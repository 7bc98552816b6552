import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { asPosition, asRevision, type LogEvent, streamId } from '../../domain/event.ts';
import { type HubProcess, startHubProcess } from '../support/hub-process.ts';
import { type Answer, readWholeLog, request, whenReady } from '../support/rest.ts';
import { type Acknowledged, faultsOf, statesOf } from './acknowledged.ts';

/** 3 rounds in the suite; NEXUS_LONG=1 makes it 50. */
const rounds = process.env.NEXUS_LONG === '1' ? 50 : 3;
const writers = 64;
const places = 50;
const seed = Number(process.env.NEXUS_TEST_SEED ?? 7);

/** Numbers from 0 to below 1, the same ones for the same seed. */
const random = (own: number) => {
  let state = Math.imul(own + 1, 0x9e3779b1) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
};

type Round = {
  readonly hub: HubProcess;
  killed: boolean;
  readonly acknowledged: Acknowledged[];
  /** What a hub that was not killed must never answer. */
  readonly faults: string[];
};

/** Writes until the hub is gone, one request after the other. */
const write = async (round: Round, writer: string, next: () => number): Promise<void> => {
  for (let index = 0; ; index++) {
    const mark = `${writer}-${index}`;
    const place = Math.floor(next() * places);
    const [method, path, stream, body] =
      next() < 0.5
        ? ['PUT', `/state/key-${place}`, `state-key-${place}`, { value: mark }]
        : ['POST', `/events/topic-${place}`, `topic-topic-${place}`, { payload: mark }];
    let answer: Answer;
    try {
      answer = await request(round.hub.url, method, path, { body });
    } catch (error) {
      if (!round.killed) round.faults.push(`${mark}: ${String(error)}`);
      return;
    }
    if (answer.status !== 200 && answer.status !== 201) {
      round.faults.push(`${mark}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return;
    }
    round.acknowledged.push({ writer, stream, position: String(answer.body.position), mark });
  }
};

/** Position of the log as a number; the embedded log counts events. */
const headOf = async (hub: HubProcess): Promise<number> => {
  const { body } = await request(hub.url, 'GET', '/health');
  return Number.parseInt((body.log as { readonly position: string }).position, 16);
};

/** All that the read models show at `position`. */
const shown = async (hub: HubProcess, position: string): Promise<unknown> => {
  await whenReady(hub.url);
  const headers = { 'x-nexus-min-position': position };
  const answers: unknown[] = [];
  const paths = Array.from({ length: places }, (_, place) => `/state/key-${place}/history?limit=1000`);
  for (const path of ['/state?limit=1000', '/services', ...paths]) {
    const { status, body } = await request(hub.url, 'GET', path, { headers });
    const { position: _, ...rest } = body;
    answers.push({ path, status, ...rest });
  }
  return answers;
};

test('kill -9 of the hub under 64 writers › every acknowledged event is there, once, in order, and shown', async (t) => {
  t.timeout(20 * 60_000);
  const startedMs = performance.now();
  const folder = await mkdtemp(join(tmpdir(), 'nexus-kill-'));
  const draw = random(seed);
  const acknowledged: Acknowledged[] = [];
  let hub = await startHubProcess(folder);
  try {
    for (let number = 0; number < rounds; number++) {
      const round: Round = { hub, killed: false, acknowledged, faults: [] };
      const before = await headOf(hub);
      const writing = Array.from({ length: writers }, (_, index) =>
        write(round, `${number}-${index}`, random(seed + number * writers + index)),
      );
      // The moment is drawn by how much is in the log, not by a clock: any place in the work may be hit.
      const killAt = before + Math.floor(draw() * 1_500);
      while ((await headOf(hub)) < killAt && round.faults.length === 0);
      round.killed = true;
      await hub.kill('SIGKILL');
      await Promise.all(writing);
      t.deepEqual(round.faults, [], `round ${number}: a hub that lives takes each write`);
      hub = await startHubProcess(folder);
    }
    t.true(acknowledged.length > rounds * 10, 'the rounds did write');

    const events = await readWholeLog(hub.url);
    t.deepEqual(faultsOf(acknowledged, events), []);
    const starts = events.filter(({ type }) => type === 'NodeStarted').length;
    t.true(starts >= rounds, 'the hub was started again for each round');

    const position = String(events.at(-1)?.position);
    const live = await shown(hub, position);
    const { body } = await request(hub.url, 'GET', '/state?limit=1000');
    const entries = body.entries as readonly { key: string; value: unknown; version: number }[];
    t.deepEqual(
      Object.fromEntries(entries.map(({ key, value, version }) => [key, { value, version }])),
      Object.fromEntries(statesOf(events)),
    );

    await hub.kill('SIGTERM');
    await rm(join(folder, 'nexus-data/read-models'), { recursive: true });
    hub = await startHubProcess(folder);
    t.deepEqual(await shown(hub, position), live, 'the read models equal those of a rebuild');
    const seconds = Math.round((performance.now() - startedMs) / 1_000);
    t.log(
      `seed ${seed}: ${rounds} rounds, ${acknowledged.length} acknowledged, ${events.length} events, ${seconds} s`,
    );
  } finally {
    await hub.kill('SIGKILL');
    await rm(folder, { recursive: true });
  }
});

test('control › the same check finds an acknowledged event that is missing, twice, or out of order', (t) => {
  const event = (number: number, mark: string, revision = number): LogEvent => ({
    id: `id-${number}`,
    stream: streamId('state', 'k'),
    revision: asRevision(revision),
    position: asPosition(number.toString(16).padStart(16, '0')),
    type: 'StateSet',
    data: { value: mark },
    metadata: {
      recordedAt: '2026-01-01T00:00:00.000Z',
      actor: 'a',
      correlationId: 'c',
      causationId: null,
      node: 'n',
      schema: 1,
    },
  });
  const [first, second, third] = [event(0, 'x'), event(1, 'y'), event(2, 'z')];
  const told = (mark: string, { position, stream }: LogEvent): Acknowledged => ({
    writer: 'w',
    stream,
    position,
    mark,
  });
  const acknowledged = [told('x', first), told('y', second), told('z', third)];
  const found = (events: readonly LogEvent[], wasTold = acknowledged) => faultsOf(wasTold, events);

  t.deepEqual(found([first, second, third]), []);
  t.regex(found([first, second]).join(), /^z was acknowledged at \w+ of state-k and is not there$/);
  t.regex(found([first, { ...second, data: { value: 'other' } }, third]).join(), /^y was acknowledged/);
  t.regex(found([first, second, third, event(3, 'z')]).join(), /^z is there twice$/);
  t.regex(
    found([first, second, third, { ...event(3, 'new'), id: 'id-0' }]).join(),
    /^the event id-0 is there twice$/,
  );
  t.regex(found([first, second, third, event(3, 'new', 4)]).join(), /^state-k jumps to revision 4$/);
  t.regex(found([first, third, second]).join(), /stands behind/);
  t.regex(
    found([first, second, third], [told('y', second), told('x', first)]).join(),
    /^x stands before what w wrote/,
  );
});
