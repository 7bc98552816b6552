import test from 'ava';
import { openZeroMq } from '../../src/bus/zeromq.ts';
import { createLogger } from '../../src/logger.ts';
import { openHub } from '../support/hub.ts';
import { request } from '../support/rest.ts';
import { openDealer } from '../support/zeromq.ts';

test('a command frame › makes and deletes a durable subscription; consuming is for REST and WebSocket', async (t) => {
  const hub = await openHub();
  t.teardown(() => hub.close());
  const zeroMq = await openZeroMq({
    core: hub.core,
    config: { ...hub.config, zmqPublish: 'none', zmqCommand: 'tcp://127.0.0.1:*' },
    logger: createLogger('silent'),
  });
  t.teardown(() => zeroMq.close());
  const dealer = openDealer(zeroMq.command ?? '');
  t.teardown(() => dealer.close());
  const run = (type: string, data: object) =>
    dealer.ask({ type: 'command', id: type, command: { type, data: { name: 'over-zeromq', ...data } } });
  t.like(await run('CreateSubscription', { topic: 'a.>', from: 'start' }), {
    type: 'result',
    id: 'CreateSubscription',
    result: { name: 'over-zeromq', topic: 'a.>', status: 'active' },
  });
  t.is((await request(hub.url, 'GET', '/subscriptions/over-zeromq')).status, 200);
  t.like(await run('PauseSubscription', {}), { result: { status: 'paused' } });
  t.like(await run('RedriveDeadLetters', { all: true }), { result: { done: 0 } });
  t.like(await run('DeleteSubscription', {}), { type: 'result' });
  t.like(await run('DeleteSubscription', {}), { type: 'error', code: 'not_found' });
  for (const frame of [
    { type: 'subscribe', group: 'over-zeromq' },
    { type: 'ack', delivery: 'd' },
  ]) {
    t.like(await dealer.ask(frame), { type: 'error', code: 'not_supported' });
  }
});
