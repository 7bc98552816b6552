import test from 'ava';
import { openZeroMq } from '../../src/bus/zeromq.ts';
import { createLogger } from '../../src/logger.ts';
import { askGraphql } from '../support/graphql.ts';
import { entryOf, type Handler, type Heard } from '../support/hooks.ts';
import { openHub } from '../support/hub.ts';
import { request } from '../support/rest.ts';
import { type Frame, openWs } from '../support/ws-client.ts';
import { openDealer } from '../support/zeromq.ts';

const hub = await openHub({ wsFramesPerSec: 0 });
const { url } = hub;
const { hooks } = hub.core.parts;
const zeroMq = await openZeroMq({
  core: hub.core,
  config: { zmqPublish: 'none', zmqCommand: 'tcp://127.0.0.1:*', jwtSecret: null },
  logger: createLogger('silent'),
});
test.after.always(async () => {
  await zeroMq.close();
  await hub.close();
});

type Answered = { readonly code: unknown; readonly body: Frame };

const publishOverRest = async (topic: string, data: Frame): Promise<Answered> => {
  const { status, body } = await request(url, 'POST', `/events/${topic}`, { body: data });
  return { code: body.code ?? status, body };
};

const publishOverGraphql = async (topic: string, { payload }: Frame): Promise<Answered> => {
  const query = `mutation ($topic: String!, $payload: String!) {
    publishEvent(topic: $topic, payload: $payload) { messageId position }
  }`;
  const { data, errors } = await askGraphql(hub, query, { topic, payload: JSON.stringify(payload) });
  const [error] = errors;
  return error === undefined
    ? { code: 'done', body: data?.publishEvent as Frame }
    : { code: error.extensions.code, body: error.extensions };
};

const publishOverWebSocket = async (topic: string, data: Frame): Promise<Answered> => {
  const ws = await openWs(url);
  const body = await ws.ask({ type: 'publish', topic, ...data });
  await ws.close();
  return { code: body.code ?? body.type, body };
};

const publishOverZeroMq = async (topic: string, data: Frame): Promise<Answered> => {
  const dealer = openDealer(zeroMq.command ?? '');
  const body = await dealer.ask({ type: 'publish', id: '1', topic, ...data });
  dealer.close();
  return { code: body.code ?? body.type, body };
};

const newest = async (topic: string): Promise<Frame> => {
  const { body } = await request(url, 'GET', `/streams/topic-${topic}?direction=backwards&limit=1`);
  const [event] = body.events as readonly { readonly data: Frame }[];
  return event?.data ?? {};
};

for (const [name, publish] of [
  ['REST', publishOverRest],
  ['GraphQL', publishOverGraphql],
  ['a WebSocket', publishOverWebSocket],
  ['ZeroMQ', publishOverZeroMq],
] as const) {
  test.serial(
    `before_publish › over ${name} changes the message, and refuses one with its reason`,
    async (t) => {
      const handler: Handler = ({ payload }) =>
        payload === 'bad'
          ? { refuse: 'no\u0000bad ones', details: { at: '/x' } }
          : { change: { payload: { wrapped: payload }, priority: 'HIGH', headers: { by: 'a' } } };
      hooks.set('guard', [entryOf('guard', 'before_publish', handler, { match: ['shop.*'] })]);
      await publish('shop.one', { payload: 1 });
      t.like(await newest('shop.one'), {
        payload: { wrapped: 1 },
        priority: 'HIGH',
        headers: { by: 'a' },
      });
      const refused = await publish('shop.one', { payload: 'bad' });
      t.is(refused.code, 'plugin_refused');
      t.like(refused.body, {
        plugin: 'guard',
        hook: 'before_publish',
        reason: 'no bad ones',
        details: { at: '/x' },
      });
      await publish('other.one', { payload: 1 });
      t.like(await newest('other.one'), { payload: 1, priority: 'NORMAL' }, 'a topic that it is not for');
      hooks.remove('guard');
      await publish('shop.one', { payload: 2 });
      t.is((await newest('shop.one')).payload, 2);
    },
  );
}

test.serial(
  'before_publish › each plugin sees what those before have made, by order and then name',
  async (t) => {
    const seen: Heard[] = [];
    const add =
      (letter: string): Handler =>
      (input) => {
        seen.push(input);
        return { change: { payload: `${input.payload}${letter}` } };
      };
    hooks.set('c', [entryOf('c', 'before_publish', add('c'))]);
    hooks.set('b', [entryOf('b', 'before_publish', add('b'))]);
    hooks.set('z', [entryOf('z', 'before_publish', add('z'), { order: -1 })]);
    t.teardown(() => ['c', 'b', 'z'].forEach(hooks.remove));
    await publishOverRest('order.one', { payload: '', key: 'k' });
    t.is((await newest('order.one')).payload, 'zbc');
    t.deepEqual(seen[1], {
      topic: 'order.one',
      payload: 'z',
      priority: 'NORMAL',
      key: 'k',
      headers: {},
      subject: 'local',
    });
  },
);
