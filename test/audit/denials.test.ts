import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { decodeEvent } from '../../domain/catalog.ts';
import { asStreamId, type LogEvent } from '../../domain/event.ts';
import { openDenials } from '../../src/audit/denials.ts';
import { problem } from '../../src/errors.ts';
import { openEmbeddedLog } from '../../src/log/embedded.ts';
import { type EventLog, LogError } from '../../src/log/event-log.ts';
import { createMeters } from '../../src/metrics/meters.ts';
import { createTestClock, quiet } from '../registry/support.ts';
import { askGraphql } from '../support/graphql.ts';
import { openHub } from '../support/hub.ts';
import { request, until } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs, refusedWs } from '../support/ws-client.ts';

type Data = Readonly<Record<string, unknown>>;

const dataOf = (events: readonly LogEvent[]): readonly Data[] =>
  events.map((event) => {
    const decoded = decodeEvent(event);
    if (!decoded.ok || !decoded.known || decoded.event.type !== 'AccessDenied')
      throw new Error(JSON.stringify(decoded));
    return decoded.event.data;
  });

const openLog = async (t: ExecutionContext): Promise<EventLog> => {
  const directory = await mkdtemp(join(tmpdir(), 'nexus-audit-'));
  const log = await openEmbeddedLog({ directory, watchdogMs: 60_000 });
  t.teardown(async () => {
    await log.close();
    await rm(directory, { recursive: true, force: true });
  });
  return log;
};

const read = (log: EventLog, day: string) => log.readStream(asStreamId(`access-${day}`), { limit: 1_000 });

const forbidden = (scope: string) => problem('forbidden', `the token lacks the scope ${scope}`, { scope });
const expired = problem('unauthorized', 'The token has expired');

/** One minute before midnight. */
const startMs = Date.UTC(2030, 0, 1, 23, 59, 10);

test('a minute of refusals › makes one entry for each subject or address, kind and requirement', async (t) => {
  const log = await openLog(t);
  const clock = createTestClock(startMs);
  const meters = createMeters();
  const denials = openDenials({ log, node: 'n1', clock, logger: quiet, meters });
  for (let count = 0; count < 5; count++) denials.denied(forbidden('log:read'), { subject: 'ada' });
  denials.denied(forbidden('admin'), { subject: 'ada' });
  denials.denied(forbidden('log:read'), { subject: 'bob' });
  denials.denied(expired, { address: '192.0.2.1' });
  denials.denied(expired, { address: '192.0.2.1' });
  denials.denied(problem('not_found', 'no refusal'), { subject: 'ada' });
  t.deepEqual(await read(log, '2030-01-01'), []);
  clock.advance(60_000);
  denials.denied(forbidden('log:read'), { subject: 'ada' });
  await denials.close();
  const minute = '2030-01-01T23:59:00.000Z';
  const entry = { subject: null, address: null, minute };
  t.deepEqual(dataOf(await read(log, '2030-01-01')), [
    { ...entry, subject: 'ada', code: 'forbidden', requirement: 'log:read', count: 5 },
    { ...entry, subject: 'ada', code: 'forbidden', requirement: 'admin', count: 1 },
    { ...entry, subject: 'bob', code: 'forbidden', requirement: 'log:read', count: 1 },
    { ...entry, address: '192.0.2.1', code: 'unauthorized', requirement: 'The token has expired', count: 2 },
  ]);
  t.like(dataOf(await read(log, '2030-01-02')), [
    { subject: 'ada', minute: '2030-01-02T00:00:00.000Z', count: 1 },
  ]);
  t.deepEqual(
    [...meters.denied.entries()],
    [
      ['forbidden', 8],
      ['unauthorized', 2],
    ],
  );
  t.deepEqual([...meters.audited.entries()], [['written', 10]]);
});

test('more entries in a minute than are kept apart › are counted together, by kind', async (t) => {
  const log = await openLog(t);
  const clock = createTestClock(startMs);
  const limits = { perMinute: 3, waiting: 100 };
  const denials = openDenials({ log, node: 'n1', clock, logger: quiet, meters: createMeters(), limits });
  for (let key = 0; key < 50; key++) denials.denied(forbidden(`state:read:${key}`), { subject: 'ada' });
  for (let key = 0; key < 50; key++) denials.denied(expired, { address: `192.0.2.${key}` });
  denials.denied(forbidden('state:read:0'), { subject: 'ada' });
  await denials.close();
  t.like(dataOf(await read(log, '2030-01-01')), [
    { requirement: 'state:read:0', count: 2 },
    { requirement: 'state:read:1', count: 1 },
    { requirement: 'state:read:2', count: 1 },
    { subject: null, address: null, code: 'forbidden', requirement: 'several', count: 47 },
    { subject: null, address: null, code: 'unauthorized', requirement: 'several', count: 50 },
  ]);
});

test('while the log is away › entries wait, up to a limit, and are written once when it is back', async (t) => {
  const log = await openLog(t);
  const clock = createTestClock(startMs);
  const meters = createMeters();
  let answers: 'away' | 'lost' | 'well' = 'away';
  let tries = 0;
  const flaky: Pick<EventLog, 'append' | 'reachable'> = {
    reachable: true,
    append: async (...append) => {
      tries++;
      if (answers === 'away') throw new LogError('log_unavailable', 'away');
      const written = await log.append(...append);
      // It was written, and the answer was lost.
      if (answers === 'lost') throw new LogError('log_unavailable', 'lost');
      return written;
    },
  };
  const limits = { perMinute: 10, waiting: 3 };
  const denials = openDenials({ log: flaky, node: 'n1', clock, logger: quiet, meters, limits });
  const minuteOver = async (): Promise<void> => {
    const before = tries;
    clock.advance(60_000);
    while (tries === before) await new Promise(setImmediate);
    await new Promise(setImmediate);
  };
  for (let minute = 0; minute < 5; minute++) {
    denials.denied(forbidden('admin'), { subject: `s${minute}` });
    await minuteOver();
  }
  answers = 'lost';
  await minuteOver();
  answers = 'well';
  await denials.close();
  const written = [...(await read(log, '2030-01-01')), ...(await read(log, '2030-01-02'))];
  t.deepEqual(
    dataOf(written).map(({ subject, count }) => [subject, count]),
    [
      ['s0', 1],
      ['s1', 1],
      ['s2', 1],
    ],
  );
  t.deepEqual(
    [...meters.audited.entries()],
    [
      ['dropped', 2],
      ['written', 3],
    ],
  );
});

test('every way in › is seen by the audit: each refusal once, under its subject or address', async (t) => {
  const time = createTestClock(startMs);
  const hub = await openHub({ jwtSecret, time });
  t.teardown(hub.close);
  const headers = { authorization: `Bearer ${signToken('ada', 'events:publish:a.*')}` };
  const refused = async (method: string, path: string, body?: unknown): Promise<void> => {
    const answer = await request(hub.url, method, path, { headers, ...(body === undefined ? {} : { body }) });
    t.is(answer.status, 403, path);
  };
  const setState = { type: 'SetState', data: { key: 'k', value: 1 } };
  t.is((await request(hub.url, 'GET', '/log')).status, 401);
  t.is((await request(hub.url, 'GET', '/state/k', { headers: { authorization: 'Bearer x' } })).status, 401);
  await refused('GET', '/log');
  await refused('GET', '/state/k');
  await refused('PUT', '/state/k', { value: 1 });
  await refused('POST', '/commands', setState);
  await refused('POST', '/services/memory/invoke', { method: 'm' });
  for (const query of ['{ state(key: "k") { version } }', '{ services { id } }'])
    t.like((await askGraphql(hub, query, undefined, headers)).errors, [
      { extensions: { code: 'forbidden' } },
    ]);
  t.is((await refusedWs(hub.url)).status, 401);
  const client = await openWs(hub.url, { headers });
  t.like(await client.ask({ type: 'command', command: setState }), { code: 'forbidden' });
  t.like(await client.ask({ type: 'watch', key: 'k' }), { code: 'forbidden' });
  t.like(await client.ask({ type: 'serve', service: 's' }), { code: 'forbidden' });
  t.like(await client.ask({ type: 'auth', token: signToken('eve', 'admin') }), { code: 'forbidden' });
  await client.close();
  time.advance(60_000);
  const reader = { authorization: `Bearer ${signToken('auditor', 'log:read')}` };
  const { body } = await until(
    () => request(hub.url, 'GET', '/streams/access-2030-01-01', { headers: reader }),
    ({ status }) => status === 200,
  );
  const counts = new Map(
    dataOf(body.events as readonly LogEvent[]).map(({ subject, address, code, requirement, count }) => [
      `${subject ?? address} ${code} ${requirement}`,
      count,
    ]),
  );
  const local = [...counts].filter(([name]) => name.startsWith('127.0.0.1 unauthorized'));
  t.is(
    local.reduce((sum, [, count]) => sum + Number(count), 0),
    3,
  );
  for (const [name] of local) counts.delete(name);
  t.deepEqual(Object.fromEntries(counts), {
    'ada forbidden log:read': 1,
    'ada forbidden state:read:k': 3,
    'ada forbidden state:write:k': 3,
    'ada forbidden services:invoke:memory': 1,
    'ada forbidden services:read': 1,
    'ada forbidden services:write': 1,
    'ada forbidden A connection cannot change its subject': 1,
  });
  t.is((await request(hub.url, 'GET', '/streams/access-2030-01-01', { headers })).status, 403);
});
