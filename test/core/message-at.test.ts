import test, { type ExecutionContext } from 'ava';
import { asRevision, type Position, streamId } from '../../domain/event.ts';
import { createMessageQuery } from '../../src/core/message-at.ts';
import { newId } from '../../src/ids.ts';
import { openEmbeddedLog } from '../../src/log/embedded.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import { openEventStoreDbLog } from '../../src/log/eventstoredb.ts';
import { openRedisLog } from '../../src/log/redis.ts';
import type { Context } from '../../src/nexus-core.ts';
import { temporaryFolder } from '../log/embedded-fixture.ts';
import { startEsdbServer } from '../support/esdb-server.ts';
import { redisForTest } from '../support/redis-server.ts';

const context: Context = { subject: { id: 'me', scopes: ['admin'] }, correlationId: 'c' };
const metadata = { actor: 'me', correlationId: 'c', causationId: null, node: 'n', schema: 1 };

const publish = async (log: EventLog, topic: string, payload: number): Promise<Position> => {
  const data = { messageId: `m${payload}`, topic, payload, priority: 'NORMAL' };
  const event = { id: newId(), type: 'MessagePublished', data, metadata };
  const appended = await log.append(streamId('topic', topic), [event], 'any');
  return (appended.ok ? appended.events[0]?.position : undefined) ?? log.start;
};

const logs: Readonly<Record<string, (t: ExecutionContext) => Promise<EventLog | undefined>>> = {
  embedded: (t) => openEmbeddedLog({ directory: temporaryFolder(t), watchdogMs: 60_000 }),
  redis: async (t) => {
    const server = await redisForTest(t);
    return server === undefined ? undefined : openRedisLog({ url: server.url });
  },
  EventStoreDB: async (t) => {
    const server = await startEsdbServer();
    server.systemEventsEvery(3);
    t.teardown(() => server.stop());
    return openEventStoreDbLog({ url: server.url });
  },
};

for (const [name, open] of Object.entries(logs)) {
  test(`a message by its position, ${name} › is that one, wherever it stands, and no other event is one`, async (t) => {
    const log = await open(t);
    if (log === undefined) return;
    t.teardown(() => log.close());
    const { message } = createMessageQuery({ log });
    const at = async (position: string): Promise<unknown> => {
      const found = await message(position, context);
      return found.ok ? found.value.payload : found.problem.code;
    };
    const places: Position[] = [];
    for (let payload = 0; payload < 5; payload++) places.push(await publish(log, 'a.b', payload));
    const other = { id: newId(), type: 'NodeStarted', data: {}, metadata };
    const appended = await log.append(streamId('node', 'n'), [other], 'any');
    t.deepEqual(await Promise.all(places.map(at)), [0, 1, 2, 3, 4]);
    const [place] = appended.ok ? appended.events : [];
    t.is(await at(place?.position ?? ''), 'not_found');
    t.is(await at(log.start), 'not_found');
    t.is(await at('0'), 'invalid');
  });
}

for (const name of ['embedded', 'redis'] as const) {
  test(`a message by its position, ${name} › is found behind many that were truncated, which are not`, async (t) => {
    const log = await logs[name]?.(t);
    if (log === undefined) return;
    t.teardown(() => log.close());
    const { message } = createMessageQuery({ log });
    const places: Position[] = [];
    for (let payload = 0; payload < 60; payload++) places.push(await publish(log, 'a.b', payload));
    await publish(log, 'c', 60);
    await log.truncate(streamId('topic', 'a.b'), asRevision(59));
    const found = await Promise.all(places.map((position) => message(position, context)));
    t.deepEqual(
      found.map((result) => result.ok),
      places.map((_, index) => index === 59),
    );
  });
}
