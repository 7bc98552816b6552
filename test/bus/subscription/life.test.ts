import test from 'ava';
import { soleOwnership } from '../../../src/bus/ownership.ts';
import { context, newFolder, okOf, openBus, reopenSubscriptions, turns } from './support.ts';

test('waiting for a server › lets everything else go on, and ends with the subscription', async (t) => {
  const bus = await openBus(await newFolder(t));
  t.teardown(bus.close);
  await bus.create('s');
  const nobody = await reopenSubscriptions(bus.core, { ownership: { ...soleOwnership, self: undefined } });
  t.teardown(nobody.close);
  let answered = 0;
  const waiting = nobody.server('s').finally(() => answered++);
  await turns(10);
  t.is(answered, 0, 'turns come while it waits');
  await bus.execute('DeleteSubscription', { name: 's' });
  t.like(await waiting, { ok: false, problem: { code: 'not_owner' } });
  const gone = nobody.server('s').finally(() => answered++);
  await turns();
  t.is(answered, 2);
  t.false((await gone).ok);
});

test('delete › ends the consumers of the subscription', async (t) => {
  const bus = await openBus(await newFolder(t));
  t.teardown(bus.close);
  await bus.create('s');
  const { signal } = new AbortController();
  const { deliveries } = okOf(await bus.core.consume('s', { signal }, context));
  const next = deliveries[Symbol.asyncIterator]().next();
  await turns();
  await bus.execute('DeleteSubscription', { name: 's' });
  t.true((await next).done);
});
