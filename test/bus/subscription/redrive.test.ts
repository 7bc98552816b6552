import test, { type ExecutionContext } from 'ava';
import type { Json } from '../../../domain/event.ts';
import { payloadOmitted } from '../../../src/bus/subscription/graveyard.ts';
import { redriveOf } from '../../../src/bus/subscription/redrive-source.ts';
import { quiet } from '../../registry/support.ts';
import { until } from '../../support/rest.ts';
import {
  type Bus,
  context,
  newFolder,
  okOf,
  openBus,
  payloadsOf,
  reopenSubscriptions,
  takeFrom,
  tokensOf,
  turns,
} from './support.ts';

const open = async (t: ExecutionContext, data: object = {}) => {
  const folder = await newFolder(t);
  const bus = await openBus(folder);
  t.teardown(bus.close);
  await bus.create('s', { backoffMs: [0], maxDeliver: 2, ...data });
  return { bus, folder };
};

const count =
  (bus: Bus, name = 's') =>
  async () =>
    (await bus.show(name)).deadLetters;

/** Publishes `payloads`, and lets each die at once with the reason that `reasonOf` gives. */
const bury = async (
  bus: Bus,
  payloads: readonly Json[],
  reasonOf: (payload: Json) => string = () => 'no',
) => {
  for (const payload of payloads) await bus.publish(payload, { messageId: `m${JSON.stringify(payload)}` });
  await terminate(bus, payloads.length, reasonOf);
};

const terminate = async (bus: Bus, number: number, reasonOf: (payload: Json) => string = () => 'no') => {
  const before = await count(bus)();
  for (let left = number; left > 0; ) {
    const deliveries = await bus.pull('s');
    left -= deliveries.length;
    for (const delivery of deliveries) {
      await bus.settle('term', 's', [delivery], { reason: reasonOf(delivery.message.payload) });
    }
  }
  await until(count(bus), (now) => now === before + number);
};

const doneOf = ({ result }: { readonly result: Json }): unknown =>
  typeof result === 'object' && result !== null && 'done' in result ? result.done : undefined;

test('redrive › one by its id, some by their error, all: they leave the list and come again from attempt 1', async (t) => {
  const { bus } = await open(t);
  await bury(bus, [1, 2, 3, 4, 5], (payload) => (Number(payload) % 2 === 0 ? 'even: no' : 'odd'));
  t.is(
    doneOf(await bus.execute('RedriveDeadLetters', { name: 's', messageIds: ['m1', 'm1', 'unknown'] })),
    1,
  );
  const one = await bus.pull('s');
  t.like(one[0], { attempt: 1, message: { messageId: 'm1', payload: 1, topic: 'orders.created' } });
  await bus.settle('ack', 's', one);
  t.is(doneOf(await bus.execute('RedriveDeadLetters', { name: 's', errorLike: 'even' })), 2);
  t.deepEqual(payloadsOf(await bus.take('s', 2)), [2, 4]);
  t.is((await bus.show('s')).deadLetters, 2);
  t.is(doneOf(await bus.execute('RedriveDeadLetters', { name: 's', all: true })), 2);
  t.deepEqual(payloadsOf(await bus.take('s', 2)), [3, 5]);
  t.is(doneOf(await bus.execute('RedriveDeadLetters', { name: 's', all: true })), 0);
  t.deepEqual([await bus.letters('s'), (await bus.show('s')).deadLetters], [[], 0]);
});

test('redrive › edited: the copy names its cause, and reaches only its subscription', async (t) => {
  const { bus } = await open(t);
  await bus.create('other');
  await bury(bus, [1]);
  await bus.settle('ack', 'other', await bus.pull('other'));
  await bus.execute('RedriveDeadLetters', { name: 's', all: true, payload: { edited: true } });
  const [copy] = await bus.pull('s');
  t.deepEqual(copy?.message.payload, { edited: true });
  t.like(copy?.message, { messageId: 'm1', headers: { [redriveOf]: 'm1' } });
  t.deepEqual(await bus.pull('other', 10, 0), []);
});

test('redrive › that fails again is one letter with its whole history, also across a restart', async (t) => {
  const { bus, folder } = await open(t);
  await bus.publish('x', { messageId: 'm' });
  await bus.settle('nak', 's', await bus.pull('s'), { reason: 'first' });
  await bus.settle('nak', 's', await bus.pull('s'), { reason: 'second' });
  await until(count(bus), (now) => now === 1);
  await bus.execute('RedriveDeadLetters', { name: 's', all: true, payload: 'edited' });
  await bus.settle('nak', 's', await bus.pull('s'), { reason: 'third' });
  await bus.close();
  const again = await openBus(folder);
  t.teardown(again.close);
  const last = await again.pull('s');
  t.like(last[0], { attempt: 2, message: { payload: 'edited', headers: { [redriveOf]: 'm' } } });
  await again.settle('nak', 's', last, { reason: 'fourth' });
  await until(count(again), (now) => now === 1);
  const letters = await again.letters('s');
  t.like(letters, { length: 1 });
  t.like(letters[0], { messageId: 'm', attempts: 4, redrives: 1, message: { payload: 'edited' } });
  t.deepEqual(
    letters[0]?.errors.map(({ reason }) => reason),
    ['first', 'second', 'third', 'fourth'],
  );
});

test('redrive › the history before it is whole behind a restart, however much there is of it', async (t) => {
  const { bus, folder } = await open(t, { maxDeliver: 20 });
  const reasonOf = (round: number) => `${round} ${'because '.repeat(60)}`.slice(0, 500);
  await bus.publish('x');
  for (let round = 0; round < 20; round++)
    await bus.settle('nak', 's', await bus.pull('s'), { reason: reasonOf(round) });
  await until(count(bus), (now) => now === 1);
  await bus.execute('RedriveDeadLetters', { name: 's', all: true });
  await bus.settle('nak', 's', await bus.pull('s'), { reason: 'short' });
  await bus.close();
  const again = await openBus(folder);
  t.teardown(again.close);
  await again.settle('term', 's', await again.pull('s'), { reason: 'end' });
  await until(count(again), (now) => now === 1);
  t.deepEqual(
    (await again.letters('s'))[0]?.errors.map(({ reason }) => reason),
    [...Array.from({ length: 18 }, (_, index) => reasonOf(index + 2)), 'short', 'end'],
  );
});

test('discard › removes for good, and only what is meant', async (t) => {
  const { bus, folder } = await open(t);
  await bury(bus, [1, 2, 3]);
  t.is(doneOf(await bus.execute('DiscardDeadLetters', { name: 's', messageIds: ['m2'] })), 1);
  t.deepEqual(
    (await bus.letters('s')).map(({ messageId }) => messageId),
    ['m1', 'm3'],
  );
  t.is(doneOf(await bus.execute('DiscardDeadLetters', { name: 's', all: true })), 2);
  await bus.close();
  const again = await openBus(folder);
  t.teardown(again.close);
  t.deepEqual([await again.letters('s'), await again.pull('s', 10, 0)], [[], []]);
});

test('dead letters › survive a restart, and are redriven behind it', async (t) => {
  const { bus, folder } = await open(t);
  await bury(bus, [1, 2]);
  const before = await bus.letters('s');
  await bus.close();
  const again = await openBus(folder);
  t.teardown(again.close);
  t.deepEqual(await again.letters('s'), before);
  t.is((await again.show('s')).deadLetters, 2);
  await again.execute('RedriveDeadLetters', { name: 's', all: true });
  t.deepEqual(payloadsOf(await again.take('s', 2)), [1, 2]);
});

test('delete and create again › begins anew: no old letters, no old checkpoint, no old redrive', async (t) => {
  const { bus, folder } = await open(t);
  await bury(bus, [1, 2, 3]);
  await bus.execute('RedriveDeadLetters', { name: 's', messageIds: ['m1'] });
  await bus.execute('DeleteSubscription', { name: 's' });
  await bus.create('s', { from: 'start', backoffMs: [0] });
  t.deepEqual([await bus.letters('s'), (await bus.show('s')).deadLetters], [[], 0]);
  t.is(doneOf(await bus.execute('RedriveDeadLetters', { name: 's', all: true })), 0);
  t.deepEqual(payloadsOf(await bus.take('s', 3)), [1, 2, 3]);
  await bus.close();
  const again = await openBus(folder);
  t.teardown(again.close);
  t.deepEqual(payloadsOf(await again.take('s', 3)), [1, 2, 3]);
  await terminate(again, 0);
  t.deepEqual(await again.letters('s'), []);
});

test('reset › delivers anew what died before, whose letter stands until it dies again: one letter, counted once', async (t) => {
  const { bus } = await open(t);
  await bury(bus, [1, 2]);
  await bus.execute('ResetSubscription', { name: 's', to: 'start' });
  t.is((await bus.show('s')).deadLetters, 2);
  const again = await bus.take('s', 2);
  t.deepEqual(payloadsOf(again), [1, 2]);
  await bus.settle('ack', 's', again.slice(0, 1));
  await bus.settle('term', 's', again.slice(1), { reason: 'anew' });
  await until(
    () => bus.letters('s'),
    (letters) => letters.some(({ errors }) => errors.at(-1)?.reason === 'anew'),
  );
  t.is((await bus.show('s')).deadLetters, 2);
  t.is((await bus.letters('s')).length, 2);
});

test('a redrive that comes twice under one command id does not take what died later, and says the same', async (t) => {
  const { bus } = await open(t);
  await bury(bus, [1, 2]);
  const redrive = () => bus.execute('RedriveDeadLetters', { name: 's', all: true }, 'once');
  const first = await redrive();
  await terminate(bus, 2);
  const second = await redrive();
  t.deepEqual([doneOf(first), doneOf(second)], [2, 2]);
  t.deepEqual(second.events, first.events);
  t.is((await bus.show('s')).deadLetters, 2);
  t.deepEqual(await bus.pull('s', 10, 0), []);
});

test('a redrive that comes twice at once under one command id is done once, and both say so', async (t) => {
  const { bus } = await open(t);
  await bury(bus, [1, 2, 3]);
  const redrive = () => bus.execute('RedriveDeadLetters', { name: 's', all: true }, 'once');
  const both = await Promise.all([redrive(), redrive()]);
  t.deepEqual(both.map(doneOf), [3, 3]);
  t.deepEqual(both[0]?.events, both[1]?.events);
  t.deepEqual(payloadsOf(await bus.take('s', 3)), [1, 2, 3]);
});

test('a redrive that is repeated is known however many have died since', async (t) => {
  const { bus } = await open(t, { maxInFlight: 5_000 });
  const numbers = Array.from({ length: 1_100 }, (_, index) => index);
  await Promise.all(numbers.map((number) => bus.publish(number)));
  const die = async (total: number) => {
    for (let left = total; left > 0; ) {
      const batch = await bus.pull('s');
      left -= batch.length;
      await bus.settle('term', 's', batch);
    }
    await until(count(bus), (now) => now === total);
  };
  await die(1_100);
  const redrive = () => bus.execute('RedriveDeadLetters', { name: 's', all: true }, 'once');
  t.is(doneOf(await redrive()), 1_100);
  await die(1_100);
  t.is(doneOf(await redrive()), 1_100);
  t.is((await bus.show('s')).deadLetters, 1_100);
});

test('a letter that does not fit beside its history comes back whole', async (t) => {
  const { bus } = await open(t);
  let payload = 'x'.repeat(1_000_000);
  for (let size = 999_700; ; size -= 10) {
    payload = 'x'.repeat(size);
    const published = await bus.core.execute(
      { type: 'PublishMessage', data: { topic: 'orders.created', payload, messageId: 'm' } },
      context,
    );
    if (published.ok) break;
    t.is(published.problem.code, 'too_large');
  }
  await terminate(bus, 1);
  const [letter] = await bus.letters('s');
  t.is(letter?.message.headers[payloadOmitted], 'true');
  await bus.execute('RedriveDeadLetters', { name: 's', all: true });
  const [delivery] = await bus.pull('s');
  t.true(delivery?.message.payload === payload);
  t.deepEqual(delivery?.message.headers, {});
});

test('commands at once › random redrives and discards lose no letter and double none', async (t) => {
  const { bus } = await open(t, { maxInFlight: 5_000 });
  const total = 300;
  await bury(
    bus,
    Array.from({ length: total }, (_, index) => index),
    (payload) => `error ${Number(payload) % 5}`,
  );
  let seed = 7;
  const draw = (below: number) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed % below;
  };
  const commands = Array.from({ length: 24 }, () => {
    const which = draw(3);
    const selection =
      which === 0
        ? { messageIds: Array.from({ length: 40 }, () => `m${draw(total)}`) }
        : which === 1
          ? { errorLike: `error ${draw(5)}` }
          : { all: true };
    return {
      type: draw(4) === 0 ? 'DiscardDeadLetters' : 'RedriveDeadLetters',
      data: { name: 's', ...selection },
    };
  });
  // The ones that take all come last, or nothing would be left for the others.
  commands.sort((a, b) => ('all' in a.data ? 1 : 0) - ('all' in b.data ? 1 : 0));
  const results = await Promise.all(commands.map((command) => bus.core.execute(command, context)));
  const done = { RedriveDeadLetters: 0, DiscardDeadLetters: 0 };
  for (const [index, result] of results.entries()) {
    const type = commands[index]?.type === 'DiscardDeadLetters' ? 'DiscardDeadLetters' : 'RedriveDeadLetters';
    done[type] += Number(doneOf(okOf(result)));
  }
  t.is(done.RedriveDeadLetters + done.DiscardDeadLetters, total);
  t.is((await bus.show('s')).deadLetters, 0);
  const came = new Set<Json>();
  let deliveries = 0;
  while (deliveries < done.RedriveDeadLetters) {
    const batch = await bus.pull('s');
    deliveries += batch.length;
    for (const payload of payloadsOf(batch)) came.add(payload);
  }
  await turns(20);
  t.deepEqual(await bus.pull('s', 10, 0), []);
  t.is(came.size, done.RedriveDeadLetters);
  t.log(
    `24 commands at once on ${total}: ${done.RedriveDeadLetters} redriven, ${done.DiscardDeadLetters} discarded`,
  );
});

test('discards while others die › count exactly, and hold up nobody', async (t) => {
  const { bus } = await open(t);
  const warnings: string[] = [];
  const logger = {
    ...quiet,
    warn: (...said: readonly unknown[]) => void warnings.push(JSON.stringify(said)),
  };
  const own = await reopenSubscriptions(bus.core, { logger });
  t.teardown(own.close);
  const total = 200;
  for (let number = 0; number < total; number++) await bus.publish(number);
  const server = okOf(await own.server('s'));
  let discarded = 0;
  let dying = true;
  const discarding = (async () => {
    while (dying) {
      discarded += Number(doneOf(await bus.execute('DiscardDeadLetters', { name: 's', all: true })));
      await turns(1);
    }
  })();
  for (let left = total; left > 0; left--) {
    await server.settle('term', tokensOf(await takeFrom(server, 1)), { durable: false });
  }
  await until(
    async () => discarded + (await bus.letters('s')).length,
    (gone) => gone === total,
  );
  dying = false;
  await discarding;
  discarded += Number(doneOf(await bus.execute('DiscardDeadLetters', { name: 's', all: true })));
  t.is(discarded, total);
  t.deepEqual(await bus.letters('s'), []);
  t.deepEqual(warnings, []);
});
