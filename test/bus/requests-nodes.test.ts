import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { LogEvent } from '../../domain/event.ts';
import { startEsdbServer } from '../support/esdb-server.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { redisForTest } from '../support/redis-server.ts';
import { openResponder } from '../support/responder.ts';
import { readWholeLog, request } from '../support/rest.ts';
import { openWs } from '../support/ws-client.ts';

/** All messages that stand in the log, replies too: the leases of nodes are events as well. */
const messagesOf = async ({ url }: Hub): Promise<readonly unknown[]> =>
  (await readWholeLog(url)).filter(({ type }) => type === 'MessagePublished').map(({ id }) => id);

const openNodes = async (
  t: ExecutionContext,
  log: string,
): Promise<{ readonly asking: Hub; readonly replying: Hub }> => {
  const [asking, replying] = [await openHub({ log: [log] }), await openHub({ log: [log] })];
  t.teardown(async () => {
    await asking.close();
    await replying.close();
  });
  return { asking, replying };
};

/** The address of a shared log that ends with the test; undefined when it was skipped. */
const sharedLogs: Readonly<Record<string, (t: ExecutionContext) => Promise<string | undefined>>> = {
  Redis: async (t) => (await redisForTest(t))?.url,
  'EventStoreDB’s protocol': async (t) => {
    const server = await startEsdbServer();
    t.teardown(server.stop);
    return server.url;
  },
};

const repliesIn = async (hub: Hub, node: string): Promise<readonly LogEvent[]> => {
  const { body } = await request(hub.url, 'GET', `/streams/topic-_reply.${node}?limit=1000`);
  return (body.events ?? []) as readonly LogEvent[];
};

const replyAt = (hub: Hub, replyTo: string, payload: unknown) =>
  request(hub.url, 'POST', '/replies', { body: { replyTo, payload } });

for (const [name, openLog] of Object.entries(sharedLogs)) {
  test(`two hubs on one ${name} › a request on one is replied to on the other`, async (t) => {
    const log = await openLog(t);
    if (log === undefined) return;
    const { asking, replying } = await openNodes(t, log);
    const responder = await openResponder(replying.url, 'far.*');
    const rest = request(asking.url, 'POST', '/requests/far.rest', {
      body: { payload: 1 },
      headers: { 'x-correlation-id': 'far-1' },
    });
    const first = await responder.next();
    t.like(await responder.ws.ask({ type: 'reply', replyTo: first.replyTo, payload: 'one' }), {
      type: 'published',
    });
    t.like((await rest).body, { requestId: first.messageId, payload: 'one' });

    const ws = await openWs(asking.url);
    const many = 100;
    for (let n = 0; n < many; n++) ws.send({ type: 'request', topic: 'far.ws', payload: n, id: n });
    for (let n = 0; n < many; n++) {
      const { replyTo, payload } = await responder.next();
      responder.ws.send({ type: 'reply', replyTo, payload: [payload] });
    }
    for (let n = 0; n < many; n++) {
      const { id, payload } = await ws.waitForType('reply');
      t.deepEqual(payload, [id]);
    }
    const replies = await repliesIn(replying, asking.core.node);
    t.is(replies.length, 1 + many);
    t.like(replies[0]?.metadata, {
      causationId: first.messageId,
      correlationId: 'far-1',
      node: replying.core.node,
    });
    await Promise.all([ws.close(), responder.ws.close()]);
  });

  test(`two hubs on one ${name} › an address is known for true on both, and whoever is first on either wins`, async (t) => {
    const log = await openLog(t);
    if (log === undefined) return;
    const { asking, replying } = await openNodes(t, log);
    const responder = await openResponder(replying.url, 'race');
    const answering = request(asking.url, 'POST', '/requests/race', { body: { payload: 1 } });
    const { replyTo } = await responder.next();

    const [claims = '', seal = ''] = replyTo.split('.');
    const [node, ...rest] = JSON.parse(Buffer.from(claims, 'base64url').toString()) as unknown[];
    const claim = (...values: unknown[]): string => Buffer.from(JSON.stringify(values)).toString('base64url');
    const before = await messagesOf(asking);
    for (const wrong of [
      `${claims}.${seal.startsWith('A') ? 'B' : 'A'}${seal.slice(1)}`,
      `${claims}.AAAA`,
      `${claim(node, '00000000-0000-7000-8000-000000000000', ...rest.slice(1))}.${seal}`,
      `${claim('no-such-node', ...rest)}.${seal}`,
      `${claim(replying.core.node, ...rest)}.${seal}`,
      `${claim(node, rest[0], 9e15, rest[2])}.${seal}`,
    ]) {
      for (const hub of [asking, replying]) {
        const answer = await replyAt(hub, wrong, 'spoof');
        t.like({ status: answer.status, ...answer.body }, { status: 404, code: 'not_found' }, wrong);
      }
    }
    t.deepEqual(await messagesOf(asking), before, 'no message was written');

    const keys = await request(replying.url, 'GET', `/streams/node-${asking.core.node}%2Freplies`);
    t.is((keys.body.events as readonly LogEvent[]).length, 1, 'one key, however much is asked');

    const hubs = [asking, replying, replying, asking, replying];
    const answers = await Promise.all(hubs.map((hub, index) => replyAt(hub, replyTo, index)));
    const { payload } = (await answering).body;
    for (const [index, { status, body }] of answers.entries()) {
      if (index === payload) t.is(status, 201);
      else t.like({ status, ...body }, { status: 409, code: 'already_replied' });
    }
    const again = await replyAt(replying, replyTo, payload);
    t.like(
      { status: again.status, ...again.body },
      { status: 201, position: answers[Number(payload)]?.body.position },
    );
    t.is((await repliesIn(asking, asking.core.node)).length, 1);
    await responder.ws.close();
  });
}

test('a node that ends while it waits › its reply is in the log, and one that comes after its next request is refused', async (t) => {
  const redis = await redisForTest(t);
  if (redis === undefined) return;
  const dataDir = await mkdtemp(join(tmpdir(), 'nexus-node-'));
  t.teardown(() => rm(dataDir, { recursive: true, force: true }));
  const replying = await openHub({ log: [redis.url] });
  t.teardown(replying.close);
  const responder = await openResponder(replying.url, 'outlived');
  const openAsking = () => openHub({ log: [redis.url], dataDir });
  const first = await openAsking();
  const { node } = first.core;
  const ask = (hub: Hub) => request(hub.url, 'POST', '/requests/outlived', { body: { payload: 1 } });
  const lost = [ask(first), ask(first)];
  const [one, two] = [await responder.next(), await responder.next()];
  await first.close();
  for (const answer of await Promise.all(lost)) t.is(answer.body.code, 'shutting_down');
  t.is((await replyAt(replying, one.replyTo, 'kept')).status, 201);
  const [kept] = await repliesIn(replying, node);
  t.is(kept?.metadata.causationId, one.messageId);

  const second = await openAsking();
  t.teardown(second.close);
  t.is(second.core.node, node);
  t.is((await replyAt(second, two.replyTo, 'late')).status, 404);
  const answering = ask(second);
  const three = await responder.next();
  t.is((await replyAt(replying, three.replyTo, 'new')).status, 201);
  t.like((await answering).body, { payload: 'new' });
  t.is((await replyAt(replying, two.replyTo, 'late')).status, 404);
  await responder.ws.close();
});
