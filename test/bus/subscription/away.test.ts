import test, { type ExecutionContext } from 'ava';
import { type Ownership, soleOwnership } from '../../../src/bus/ownership.ts';
import type { Member, SubscriptionServer } from '../../../src/bus/subscription/server.ts';
import { ok, type Result } from '../../../src/errors.ts';
import type { Delivery } from '../../../src/nexus-subscriptions.ts';
import { newFolder, okOf, openBus, reopenSubscriptions, turns } from './support.ts';

/** A node whose subscription `s` another one serves: that one answers `join` when the test says so. */
const servedAway = async (t: ExecutionContext) => {
  const bus = await openBus(await newFolder(t));
  t.teardown(bus.close);
  await bus.create('s');
  const self = { node: 'other', epoch: 'e' };
  const other = await reopenSubscriptions(bus.core, { ownership: { ...soleOwnership, self } });
  okOf(await other.server('s'));
  await other.close();

  const left: boolean[] = [];
  const joined = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<readonly Delivery[] | undefined>();
  const member: Member = {
    next: () => ended.promise,
    leave: (blameless) => {
      left.push(blameless);
      ended.resolve(undefined);
    },
  };
  const peer: SubscriptionServer = {
    position: () => Promise.resolve(undefined),
    live: () => Promise.resolve(undefined),
    pull: () => Promise.resolve(ok([])),
    settle: () => Promise.resolve(ok({ done: 0, refused: [], durable: false })),
    giveBack: () => Promise.resolve(),
    async join(): Promise<Result<Member>> {
      joined.resolve();
      await gate.promise;
      return ok(member);
    },
  };
  const ownership: Ownership = {
    ...soleOwnership,
    self: { node: 'this', epoch: 'f' },
    isLiving: () => true,
    urlOf: () => 'http://other',
  };
  const here = await reopenSubscriptions(bus.core, { ownership, peer: () => peer });
  t.teardown(here.close);
  return { here, left, joined: joined.promise, letIn: gate.resolve };
};

test('a consumer that goes while another node lets it in › leaves there too', async (t) => {
  const { here, left, joined, letIn } = await servedAway(t);
  const going = new AbortController();
  const { deliveries } = okOf(await here.consume('s', 10, going.signal));
  const next = deliveries[Symbol.asyncIterator]().next();
  await joined;
  going.abort('cut');
  letIn();
  await turns();
  t.deepEqual(left.slice(0, 1), [false]);
  t.true((await next).done);
});
