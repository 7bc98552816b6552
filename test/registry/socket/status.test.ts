import test from 'ava';
import type { ServiceStatus } from '../../../domain/service/service.ts';
import type { ServiceDocument } from '../../../projections/documents.ts';
import { openRegistry } from '../../../src/registry/registry.ts';
import type { Channel } from '../../../src/registry/socket/channel.ts';
import { createTargets } from '../../../src/registry/target/targets.ts';
import { createTestClock, quiet, serviceDocument } from '../support.ts';

const deaf: Channel = {
  full: false,
  drained: () => Promise.resolve(),
  push: () => {},
  cancel: () => {},
  ended: () => {},
};

/** A registry with one instance that is called over its socket, beside a log that takes every change of status. */
const open = (first: Partial<ServiceDocument> = {}) => {
  const clock = createTestClock();
  const written: (readonly [ServiceStatus, string, string])[] = [];
  let document = serviceDocument({ reach: 'socket', status: 'starting', ...first });
  const put = (changes: Partial<ServiceDocument>): void => {
    document = { ...document, ...changes };
    registry.put(document);
  };
  const registry = openRegistry({
    logger: quiet,
    targets: createTargets({ mode: 'protected', allowedTargets: [], ownPorts: () => [] }),
    clock: clock.now,
    after: clock.after,
    random: () => 0.5,
    deregister: () => Promise.resolve(),
    async changeStatus(_id, { status, reason, cause }) {
      written.push([status, cause, reason]);
      const statusSince = new Date(clock.now() + written.length).toISOString();
      put({ status, statusReason: reason, statusCause: cause, statusSince });
    },
  });
  registry.put(document);
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await new Promise<void>((resolve) => setImmediate(resolve));
  };
  const statuses = (): readonly ServiceStatus[] => written.map(([status]) => status);
  return { registry, written, statuses, put, pass, document: () => document };
};

test('its socket makes an instance healthy, and 5 s without one offline, with the reason', async (t) => {
  const { registry, written, pass } = open();
  await pass(60_000);
  t.deepEqual(written, []);
  const attendance = registry.attend(deaf);
  await attendance.serve('one', 1);
  attendance.close();
  await pass(4_999);
  t.deepEqual(written, [['healthy', 'socket', 'its WebSocket serves it']]);
  await pass(1);
  t.deepEqual(written[1], ['offline', 'socket', 'its WebSocket closed']);
  await registry.attend(deaf).serve('one', 1);
  t.is(written[2]?.[0], 'healthy');
  await pass(60_000);
  t.is(written.length, 3);
  await registry.close();
});

test('an instance that is back within 5 s was never gone', async (t) => {
  const { registry, statuses, pass } = open();
  for (let round = 0; round < 5; round++) {
    const attendance = registry.attend(deaf);
    await attendance.serve('one', 1);
    attendance.close();
    await pass(4_000);
  }
  await registry.attend(deaf).serve('one', 1);
  await pass(60_000);
  t.deepEqual(statuses(), ['healthy']);
  await registry.close();
});

test('that the hub goes away is not the fault of the service, which has 5 s to come back to the next one', async (t) => {
  const before = open();
  const attendance = before.registry.attend(deaf);
  await attendance.serve('one', 1);
  before.registry.quiesce();
  attendance.close();
  await before.pass(60_000);
  t.deepEqual(before.statuses(), ['healthy']);
  await before.registry.close();

  const back = open(before.document());
  await back.pass(4_999);
  await back.registry.attend(deaf).serve('one', 1);
  await back.pass(60_000);
  t.deepEqual(back.statuses(), []);
  await back.registry.close();

  const lost = open(before.document());
  await lost.pass(5_000);
  t.deepEqual(lost.written, [['offline', 'socket', 'its WebSocket did not come back']]);
  await lost.registry.close();
});

test('a TTL counts beside the socket: heartbeats do not replace it, nor it them', async (t) => {
  const { registry, statuses, written, pass } = open({ ttlSec: 10 });
  await registry.heartbeat('one', {});
  t.deepEqual(statuses(), []);
  await registry.attend(deaf).serve('one', 1);
  await pass(9_999);
  await registry.heartbeat('one', {});
  await pass(9_999);
  t.deepEqual(statuses(), ['healthy']);
  await pass(1);
  t.deepEqual(written[1], ['offline', 'ttl', 'no heartbeat within 10 s']);
  await registry.heartbeat('one', { status: 'degraded' });
  t.deepEqual(statuses(), ['healthy', 'offline', 'degraded']);
  await registry.close();
});

test('an operator’s word stays while sockets come and go, and then what is true counts', async (t) => {
  const { registry, statuses, put, pass } = open();
  const attendance = registry.attend(deaf);
  await attendance.serve('one', 1);
  put({ status: 'maintenance', statusCause: 'operator', statusSince: '2030-01-01T00:00:01.000Z' });
  attendance.close();
  await pass(60_000);
  t.deepEqual(statuses(), ['healthy']);
  put({ status: 'healthy', statusCause: 'operator', statusSince: '2030-01-01T00:02:00.000Z' });
  await pass(0);
  t.deepEqual(statuses(), ['healthy', 'offline']);
  await registry.close();
});
