import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { satisfies } from 'semver';
import type { LogEvent } from '../../domain/event.ts';
import { createHandler } from '../../src/command/handle.ts';
import { parseConfig } from '../../src/config.ts';
import { createCommands } from '../../src/core/commands.ts';
import { createDeciders } from '../../src/core/deciders.ts';
import { type Core, openCore } from '../../src/core.ts';
import { createLogger } from '../../src/logger.ts';
import type { Context, ServiceFilter } from '../../src/nexus-core.ts';
import { seeded } from '../support/arbitraries.ts';

const open = (folder: string): Promise<Core> => {
  const parsed = parseConfig(
    ['--data-dir', folder, '--log', `file:${folder}/log`, '--state-file', 'none'],
    {},
    () => undefined,
  );
  if (!parsed.ok) throw new Error(parsed.message);
  return openCore(parsed.config, { watchdogMs: 60_000, logger: createLogger('silent') });
};

const as = (id: string): Context => ({
  subject: { id, scopes: id === 'root' ? ['admin'] : ['services:read', 'services:write'] },
  correlationId: 'c',
});
const root = as('root');

const id = fc.constantFrom('a', 'b', 'c', 'd-1');
const who = fc.constantFrom('ann', 'bob', 'root');
const words = fc.subarray(['x', 'y', 'z']);
const fields = {
  name: fc.constantFrom('math', 'text'),
  version: fc.constantFrom('1.0.0', '1.4.0-rc.1', '2.3.0'),
  host: fc.constantFrom('127.0.0.1', 'localhost'),
  port: fc.constantFrom(9, 10),
  capabilities: words,
  tags: words,
  weight: fc.integer({ min: 1, max: 3 }),
  ttlSec: fc.constantFrom(null, 3_600),
  metadata: fc.constantFrom({}, { team: 'core' }),
  methods: fc.constantFrom({}, { add: { idempotent: true } }),
  removeAfterSec: fc.constantFrom(null, 60_000),
};
const required = ['name', 'version', 'host', 'port'] as const;
const anyRegistration = fc.oneof(
  fc.record(fields, { requiredKeys: [...required] }),
  fc.constant({ name: 'math', version: '1.0.0', reach: 'socket' }),
);
const anyChanges = fc.record(fields, { requiredKeys: ['weight'] });
const reported = fc.constantFrom('healthy', 'degraded', 'unhealthy');
const anyStatus = fc.constantFrom('healthy', 'degraded', 'unhealthy', 'offline', 'starting');
const cause = fc.constantFrom('probe', 'ttl', 'invocations', 'flapping');
const untilMs = fc.integer({ min: Date.UTC(2040, 0), max: Date.UTC(2041, 0) });

type Step = (core: Core, commands: ReturnType<typeof createCommands>) => Promise<unknown>;

const run =
  (type: string, data: object, subject: string): Step =>
  (core) =>
    core.execute({ type, data }, as(subject));

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(id, who, anyRegistration)
      .map(([one, by, data]) => run('RegisterService', { ...data, id: one }, by)),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(id, who, anyChanges)
      .map(([one, by, data]) => run('UpdateService', { ...data, id: one }, by)),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        id,
        who,
        fc.constantFrom('draining', 'maintenance', 'healthy'),
        fc.constantFrom('deploy', 'disk'),
      )
      .map(([one, by, status, reason]) => run('UpdateService', { id: one, status, reason }, by)),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(id, reported).map(
      ([one, status]): Step =>
        (core) =>
          core.heartbeat(one, { status, load: 0.5 }, root),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(id, anyStatus, cause).map(
      ([one, status, why]): Step =>
        (_core, { changeStatus }) =>
          changeStatus(one, { status, reason: `by ${why}`, cause: why }, undefined),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(id, untilMs, fc.constantFrom(true, true, true, false)).map(
      ([one, ms, isOpen]): Step =>
        (_core, { changeCircuit }) =>
          changeCircuit(
            one,
            isOpen
              ? { to: 'open', reason: 'it fails', until: new Date(ms).toISOString() }
              : { to: 'closed', reason: 'it answers' },
          ),
    ),
  },
  { weight: 1, arbitrary: fc.tuple(id, who).map(([one, by]) => run('DeregisterService', { id: one }, by)) },
);

type Fields = Readonly<Record<string, unknown>>;
type Known = Fields & { readonly id: string; readonly version: string };

/** What clients see of a registration that says nothing of these; written down here, not taken from the product. */
const defaults: Fields = {
  healthCheck: {
    intervalMs: 10_000,
    timeoutMs: 2_000,
    healthyThreshold: 2,
    unhealthyThreshold: 3,
    graceMs: 10_000,
  },
  removeAfterSec: 259_200,
  balancing: {
    strategy: 'least-loaded',
    slowStartSec: 10,
    maxEjectedPercent: 50,
    panicPercent: 50,
    maxInFlight: 1_024,
  },
  methods: {},
  reach: 'direct',
};

/** The registry after one more event: a plain fold of what stands in the log, apart from that of the product. */
const folded = (registry: ReadonlyMap<string, Known>, event: LogEvent): ReadonlyMap<string, Known> => {
  if (!event.stream.startsWith('service-')) return registry;
  const data = event.data as Fields;
  const key = event.stream.slice('service-'.length);
  const before = registry.get(key);
  const at = event.metadata.recordedAt;
  const next = new Map(registry);
  const put = (changes: Fields): void => {
    if (before !== undefined)
      next.set(key, { ...before, ...changes, lastSeenAt: at, revision: event.revision });
  };
  switch (event.type) {
    case 'ServiceRegistered': {
      const { status, reason, ...own } = data;
      next.set(key, {
        ...defaults,
        ...own,
        id: key,
        version: String(own.version),
        status,
        statusReason: reason,
        statusCause: 'registration',
        statusSince: at,
        circuit: null,
        registeredAt: at,
        lastSeenAt: at,
        load: null,
        inFlight: 0,
        revision: event.revision,
      });
      break;
    }
    case 'ServiceUpdated':
      put(data.changes as Fields);
      break;
    case 'ServiceStatusChanged':
      put({ status: data.to, statusReason: data.reason, statusCause: data.cause, statusSince: at });
      break;
    case 'CircuitOpened': {
      const circuit = before?.circuit as { since: string; openings: number } | null;
      const { reason, until } = data;
      put({
        circuit: { reason, until, since: circuit?.since ?? at, openings: (circuit?.openings ?? 0) + 1 },
      });
      break;
    }
    case 'CircuitClosed':
      put({ circuit: null });
      break;
    case 'ServiceDeregistered':
      next.delete(key);
      break;
    default:
      throw new Error(`${event.type} is not folded`);
  }
  return next;
};

const has = (list: unknown, word: string): boolean => Array.isArray(list) && list.includes(word);
type Fits = (service: Known) => boolean;
const filters: readonly (readonly [ServiceFilter, Fits])[] = [
  [{}, () => true],
  [{ name: 'math' }, ({ name }) => name === 'math'],
  [
    { name: 'text', capabilities: ['x', 'y'] },
    (one) => one.name === 'text' && has(one.capabilities, 'x') && has(one.capabilities, 'y'),
  ],
  [{ status: 'healthy' }, ({ status }) => status === 'healthy'],
  [{ tag: 'z' }, ({ tags }) => has(tags, 'z')],
  [{ version: '^1.2.0' }, ({ version }) => satisfies(version, '^1.2.0', { includePrerelease: true })],
  [{ reach: 'socket' }, ({ reach }) => reach === 'socket'],
];

const wholeLog = async (core: Core): Promise<readonly LogEvent[]> => {
  const events: LogEvent[] = [];
  for (let after = 'start'; ; ) {
    const page = await core.log({ after, limit: 1_000 }, root);
    if (!page.ok) throw new Error(page.problem.detail);
    events.push(...page.value.events);
    if (!page.value.more) return events;
    after = page.value.position;
  }
};

const listed = async (core: Core, filter: ServiceFilter): Promise<readonly Fields[]> => {
  const found = await core.services(filter, root);
  if (!found.ok) throw new Error(found.problem.detail);
  return found.value.services;
};

const paged = async (core: Core, filter: ServiceFilter): Promise<readonly Fields[]> => {
  const all: Fields[] = [];
  for (let cursor: string | undefined; ; ) {
    const found = await core.services(
      { ...filter, limit: 2, ...(cursor === undefined ? {} : { cursor }) },
      root,
    );
    if (!found.ok) throw new Error(found.problem.detail);
    if (found.value.services.length > 2) throw new Error('a page of more than its limit');
    all.push(...found.value.services);
    cursor = found.value.cursor;
    if (cursor === undefined) return all;
  }
};

const ids = ['a', 'b', 'c', 'd-1'];

/** Every position and every time of `events` shows the fold up to there, alone and in each list. */
const shows = async (t: ExecutionContext, core: Core, events: readonly LogEvent[]): Promise<number> => {
  let registry: ReadonlyMap<string, Known> = new Map();
  let compared = 0;
  const compare = async (asOf: string): Promise<void> => {
    const expected = [...registry.values()].sort((left, right) => (left.id < right.id ? -1 : 1));
    for (const one of ids) {
      const found = await core.service(one, { asOf }, root);
      t.deepEqual(found.ok ? { ...found.value } : undefined, registry.get(one) as never);
    }
    for (const [filter, fits] of filters) {
      t.deepEqual(await listed(core, { ...filter, asOf }), expected.filter(fits), JSON.stringify(filter));
    }
    t.deepEqual(await paged(core, { asOf }), expected);
    compared += expected.length;
  };
  await compare('0'.repeat(events[0]?.position.length ?? 16));
  for (const [index, event] of events.entries()) {
    registry = folded(registry, event);
    await compare(event.position);
    // The last event that was recorded in its millisecond is what this millisecond shows; of the newest one that is not
    // known, as the hub may write one more.
    const next = events[index + 1]?.metadata.recordedAt;
    const { recordedAt } = event.metadata;
    if (next !== undefined && next !== recordedAt) await compare(recordedAt);
  }
  return compared;
};

test('property › asOf any position and any time is the log folded up to there, after a restart and a rebuild too', async (t) => {
  t.timeout(120_000);
  let [compared, circuits, causes] = [0, 0, new Set<unknown>()];
  const property = fc.asyncProperty(fc.array(anyStep, { minLength: 20, maxLength: 60 }), async (steps) => {
    const folder = await mkdtemp(join(tmpdir(), 'nexus-past-'));
    try {
      const core = await open(folder);
      const commands = createCommands(
        core.parts,
        createHandler(core.parts.log),
        createDeciders(core.parts.runner),
      );
      for (const step of steps) await step(core, commands);
      const events = await wholeLog(core);
      circuits += events.filter(({ type }) => type === 'CircuitOpened').length;
      for (const { data } of events) causes.add((data as Fields).cause);
      compared += await shows(t, core, events);
      await core.close();
      const again = await open(folder);
      await shows(t, again, events);
      await again.close();
      await rm(join(folder, 'read-models'), { recursive: true });
      const rebuilt = await open(folder);
      await shows(t, rebuilt, events);
      await rebuilt.close();
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
  await t.notThrowsAsync(fc.assert(property, { ...seeded, numRuns: 8, endOnFailure: true }));
  t.true(compared > 300, `${compared} services were compared`);
  t.true(circuits > 5 && causes.size >= 6, `${circuits} circuits opened; ${[...causes].join()}`);
});

test('a list by name › is that of the plain fold now, in pages too, whoever took the name or gave it up', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-past-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const core = await open(folder);
  const register = (one: string, name: string) =>
    core.execute(
      { type: 'RegisterService', data: { id: one, name, version: '1.0.0', host: '127.0.0.1', port: 9 } },
      root,
    );
  for (const one of ['e', 'b', 'd', 'a', 'c']) await register(one, 'math');
  await register('f', 'text');
  await register('b', 'text');
  await register('f', 'math');
  await core.execute({ type: 'DeregisterService', data: { id: 'd' } }, root);
  const idsOf = (services: readonly Fields[]) => services.map((one) => one.id);
  for (const name of ['math', 'text', 'none']) {
    const expected = { math: ['a', 'c', 'e', 'f'], text: ['b'], none: [] }[name];
    t.deepEqual(idsOf(await listed(core, { name })), expected as never);
    t.deepEqual(idsOf(await paged(core, { name })), expected as never);
  }
  t.deepEqual(idsOf(await paged(core, {})), ['a', 'b', 'c', 'e', 'f']);
  await core.close();
});
