import test from 'ava';
import { Dealer } from 'zeromq';
import { openZeroMq } from '../../src/bus/zeromq.ts';
import { createLogger } from '../../src/logger.ts';
import { openHub } from '../support/hub.ts';
import { request } from '../support/rest.ts';
import { type Frame, openWs } from '../support/ws-client.ts';

const hub = await openHub();
const zeroMq = await openZeroMq({
  core: hub.core,
  config: { zmqPublish: 'none', zmqCommand: 'tcp://127.0.0.1:*', jwtSecret: null },
  logger: createLogger('silent'),
});
test.after.always(async () => {
  await zeroMq.close();
  await hub.close();
});

type Ask = (frame: object) => Promise<Frame>;

const overWebSocket = async (): Promise<{ readonly ask: Ask; close(): Promise<void> }> => openWs(hub.url);

const overZeroMq = async (): Promise<{ readonly ask: Ask; close(): Promise<void> }> => {
  const dealer = new Dealer({ linger: 0 });
  dealer.connect(zeroMq.command ?? '');
  return {
    ask: async (frame) => {
      await dealer.send(JSON.stringify(frame));
      return JSON.parse(String((await dealer.receive()).at(-1))) as Frame;
    },
    close: async () => dealer.close(),
  };
};

const metadataAt = async (stream: string): Promise<Readonly<Record<string, unknown>>> => {
  const { body } = await request(hub.url, 'GET', `/streams/${stream}?direction=backwards&limit=1`);
  const [event] = body.events as readonly { readonly metadata: Readonly<Record<string, unknown>> }[];
  return event?.metadata ?? {};
};

for (const [name, open] of [
  ['WebSocket', overWebSocket],
  ['ZeroMQ', overZeroMq],
] as const) {
  const topic = `causes.${name}`;
  const trace = { causationId: 'message-7', correlationId: 'order/12' };

  test(`${name} › publish › names in its event what caused it and what it belongs to`, async (t) => {
    const client = await open();
    t.like(await client.ask({ type: 'publish', topic, payload: 1, ...trace }), { type: 'published' });
    t.like(await metadataAt(`topic-${topic}`), trace);
    t.like(await client.ask({ type: 'publish', topic, payload: 2 }), { type: 'published' });
    const plain = await metadataAt(`topic-${topic}`);
    t.is(plain.causationId, null);
    t.not(plain.correlationId, trace.correlationId);
    await client.close();
  });

  test(`${name} › command › names them too`, async (t) => {
    const client = await open();
    const command = { type: 'SetState', data: { key: `caused-${name}`, value: 1 } };
    t.like(await client.ask({ type: 'command', command, ...trace }), { type: 'result' });
    t.like(await metadataAt(`state-caused-${name}`), trace);
    await client.close();
  });

  test(`${name} › an id that is none is refused, and nothing is written`, async (t) => {
    const client = await open();
    const quiet = `${topic}.refused`;
    for (const [field, wrong] of [
      ['causationId', 'a b'],
      ['causationId', ''],
      ['correlationId', 7],
      ['correlationId', 'x'.repeat(129)],
    ] as const) {
      const answer = await client.ask({ type: 'publish', topic: quiet, payload: 1, [field]: wrong });
      t.like(answer, { type: 'error', code: 'invalid' });
      t.like(answer.errors, [{ pointer: `/${field}` }]);
    }
    t.is((await request(hub.url, 'GET', `/streams/topic-${quiet}`)).status, 404);
    await client.close();
  });
}
