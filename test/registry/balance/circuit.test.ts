import test from 'ava';
import { defaultPolicy } from '../../../domain/service/policy.ts';
import type { OpenCircuit } from '../../../projections/documents.ts';
import { createBalanced } from './support.ts';

type Balanced = ReturnType<typeof createBalanced>;

const withInstances = (ids: readonly string[]): Balanced => {
  const balanced = createBalanced();
  for (const id of ids) balanced.put(id);
  return balanced;
};
const three = () => withInstances(['a', 'b', 'c']);

/** Fails `a` and waits until its circuit may be tried. */
const withTrialOfA = (): Balanced => {
  const balanced = three();
  balanced.fail('a', 5);
  balanced.clock.advance(6_000);
  return balanced;
};

const calledIds = ({ call }: Balanced, calls = 30) =>
  [...new Set(Array.from({ length: calls }, () => call({ strategy: 'round-robin' })))].sort();

for (const outcome of ['failed', 'timeout', 'unreachable'] as const)
  test(`${outcome} five times in a row opens the circuit, four times does not`, (t) => {
    const balanced = three();
    balanced.fail('a', 4, outcome);
    t.deepEqual(balanced.changes, []);
    balanced.fail('a', 1, outcome);
    t.like(balanced.changes, { length: 1, 0: { id: 'a', to: 'open' } });
    t.deepEqual(calledIds(balanced), ['b', 'c']);
  });

test('what an answer ends is no row, and a call that was cancelled says nothing', (t) => {
  const balanced = three();
  for (let round = 0; round < 10; round++) {
    balanced.fail('a', 4);
    balanced.fail('a', 1, 'answered');
    balanced.fail('a', 9, 'cancelled');
    balanced.clock.advance(11_000);
  }
  t.deepEqual(balanced.changes, []);
});

test('half of at least 20 calls within 10 s open the circuit, of 19 they do not', (t) => {
  const balanced = three();
  const alternate = (calls: number) => {
    for (let call = 0; call < calls; call++) balanced.fail('a', 1, call % 2 === 0 ? 'answered' : 'failed');
  };
  alternate(19);
  balanced.clock.advance(11_000);
  alternate(19);
  t.deepEqual(balanced.changes, []);
  balanced.fail('a', 1);
  t.like(balanced.changes, { length: 1, 0: { to: 'open' } });
});

test('the event says why and until when, and no call is an event', (t) => {
  const balanced = three();
  const startMs = balanced.clock.now();
  const tried = new Set([balanced.put('b'), balanced.put('c')]);
  for (let call = 0; call < 5; call++) balanced.pick({ tried })?.settle('failed', 'status 500');
  const [opened, ...more] = balanced.changes;
  t.deepEqual(more, []);
  t.is(opened?.reason, '5 failures in a row, the last: status 500');
  const forMs = Date.parse(opened?.to === 'open' ? opened.until : '') - startMs;
  t.true(forMs >= 4_500 && forMs <= 5_500, `${forMs}`);
});

test('when its time is over one call at a time tries it, before all others', (t) => {
  const balanced = withTrialOfA();
  const trial = balanced.pick();
  t.is(trial?.instance.id, 'a');
  t.deepEqual(calledIds(balanced), ['b', 'c']);
  trial?.settle('answered');
  t.is(balanced.pick()?.instance.id, 'a');
});

test('a call that was elsewhere tries it only when nobody else is left', (t) => {
  const balanced = withTrialOfA();
  const b = balanced.put('b');
  t.is(balanced.pick({ tried: new Set([b]) })?.instance.id, 'c');
  t.is(balanced.pick({ tried: new Set([b, balanced.put('c')]) })?.instance.id, 'a');
});

test('two good trials in a row close it', (t) => {
  const balanced = withTrialOfA();
  t.is(balanced.call(), 'a');
  t.is(balanced.changes.length, 1);
  t.is(balanced.call(), 'a');
  t.deepEqual(balanced.changes[1], { id: 'a', to: 'closed', reason: '2 good trials in a row' });
});

test('a trial that is cancelled says nothing: the next call tries it', (t) => {
  const balanced = withTrialOfA();
  t.is(balanced.call({}, 'cancelled'), 'a');
  t.is(balanced.call({}, 'cancelled'), 'a');
  t.is(balanced.changes.length, 1);
  balanced.call();
  balanced.call();
  t.is(balanced.changes.length, 2);
});

test('a bad trial opens it again for twice as long, up to two minutes', (t) => {
  const balanced = three();
  balanced.fail('a', 5);
  const durations: number[] = [];
  for (let opening = 0; opening < 8; opening++) {
    const last = balanced.changes.at(-1);
    const forMs = Date.parse(last?.to === 'open' ? last.until : '') - balanced.clock.now();
    durations.push(forMs);
    balanced.clock.advance(forMs - 1);
    t.not(balanced.call({}, 'answered', 0), 'a', 'before its time');
    balanced.clock.advance(1);
    t.is(balanced.call({}, 'failed', 0), 'a');
  }
  for (const [opening, seconds] of [5, 10, 20, 40, 80, 120, 120, 120].entries()) {
    const ratio = (durations[opening] ?? 0) / (seconds * 1_000);
    t.true(ratio >= 0.9 && ratio <= 1.1, `${durations}`);
  }
});

test('an instance that fails for an hour is at most ten events in the first minute, and one in each after', (t) => {
  const balanced = three();
  const startMs = balanced.clock.now();
  const minutes = new Array<number>(60).fill(0);
  for (let seen = 0; balanced.clock.now() - startMs < 3_600_000; ) {
    const picked = balanced.pick({ strategy: 'round-robin' });
    // The same that comes and goes: a good half of what it is given fails.
    const fails = picked?.instance.id === 'a' && balanced.random() < 0.6;
    picked?.settle(fails ? 'failed' : 'answered');
    balanced.clock.advance(100);
    const minute = Math.floor((balanced.clock.now() - startMs) / 60_000);
    if (minute < 60) minutes[minute] = (minutes[minute] ?? 0) + balanced.changes.length - seen;
    seen = balanced.changes.length;
  }
  t.true((minutes[0] ?? 0) <= 10 && minutes.slice(10).every((events) => events <= 4), `${minutes}`);
  t.true(balanced.changes.length < 180, `${balanced.changes.length}`);
});

test('calls that were sent before it closed do not open it again', (t) => {
  const balanced = three();
  const late = Array.from({ length: 30 }, () => balanced.pick({ strategy: 'round-robin' })).filter(
    (picked) => picked?.instance.id === 'a',
  );
  balanced.fail('a', 5);
  balanced.clock.advance(6_000);
  balanced.call();
  balanced.call();
  t.is(balanced.changes.length, 2);
  for (const picked of late) picked?.settle('timeout');
  t.is(balanced.changes.length, 2);
});

test('at most maxEjectedPercent of the instances are ejected, and at least one', (t) => {
  const ids = ['a', 'b', 'c', 'd', 'e'];
  for (const [maxEjectedPercent, ejected] of [
    [0, 0],
    [1, 1],
    [40, 2],
    [50, 2],
    [100, 5],
  ] as const) {
    const balanced = createBalanced();
    const balancing = { ...defaultPolicy.balancing, maxEjectedPercent };
    for (const id of ids) balanced.put(id, { balancing });
    for (let call = 0; call < 300; call++) balanced.call({ strategy: 'random' }, 'failed', 0);
    t.is(balanced.changes.length, ejected, `${maxEjectedPercent} %`);
  }
});

test('a circuit that another node has opened or closed counts here', (t) => {
  const balanced = three();
  const nowMs = balanced.clock.now();
  const circuit: OpenCircuit = {
    reason: '5 failures in a row',
    since: new Date(nowMs).toISOString(),
    until: new Date(nowMs + 20_000).toISOString(),
    openings: 3,
  };
  balanced.put('a', { circuit });
  t.deepEqual(calledIds(balanced, 10), ['b', 'c']);
  balanced.clock.advance(20_000);
  t.is(balanced.call({}, 'failed'), 'a');
  // The fourth in a row: 5 s doubled three times.
  const again = balanced.changes[0];
  const forMs = Date.parse(again?.to === 'open' ? again.until : '') - balanced.clock.now();
  t.true(forMs > 35_000 && forMs < 45_000, `${forMs}`);

  balanced.put('a', { circuit: { ...circuit, until: again?.to === 'open' ? again.until : '', openings: 4 } });
  balanced.put('a', { circuit: null });
  balanced.clock.advance(10_000);
  t.deepEqual(calledIds(balanced), ['a', 'b', 'c']);
  t.is(balanced.changes.length, 1);
});

test('its own events change nothing when they come back, however late', (t) => {
  const balanced = three();
  balanced.fail('a', 5);
  const first = balanced.changes[0];
  const circuit: OpenCircuit = {
    ...{ reason: '', since: '2030-01-01T00:00:00.000Z', openings: 1 },
    until: first?.to === 'open' ? first.until : '',
  };
  balanced.clock.advance(6_000);
  balanced.call();
  balanced.call();
  t.is(balanced.changes[1]?.to, 'closed');
  balanced.put('a', { circuit });
  balanced.clock.advance(20_000);
  t.deepEqual(calledIds(balanced), ['a', 'b', 'c'], 'the opening, after it has closed');
  balanced.fail('a', 5);
  t.is(balanced.changes[2]?.to, 'open');
  balanced.put('a', { circuit: null });
  t.deepEqual(calledIds(balanced), ['b', 'c'], 'the closing, after it has opened again');
});

test('after a start of the hub an open circuit is open until its time is over', (t) => {
  const balanced = createBalanced();
  const nowMs = balanced.clock.now();
  const until = (ms: number): { circuit: OpenCircuit } => ({
    circuit: { reason: '', since: '', until: new Date(nowMs + ms).toISOString(), openings: 1 },
  });
  balanced.put('a', until(-1_000));
  balanced.put('b', until(3_000));
  t.is(balanced.call({}, 'answered', 0), 'a');
  t.is(balanced.call({}, 'answered', 0), 'a');
  t.is(balanced.call({}, 'answered', 3_000), 'a');
  t.is(balanced.call({}, 'answered', 0), 'b');
});

test('the one instance of a service is ejected too: nobody is called until its time is over', (t) => {
  const balanced = withInstances(['a']);
  balanced.fail('a', 5);
  t.is(balanced.pick(), undefined);
  balanced.clock.advance(6_000);
  t.is(balanced.call(), 'a');
});

test('an instance that is removed meanwhile leaves nothing behind', (t) => {
  const balanced = withTrialOfA();
  const trial = balanced.pick();
  const other = balanced.pick();
  balanced.remove('a');
  trial?.settle('failed');
  balanced.remove('b');
  balanced.remove('c');
  other?.settle('failed');
  balanced.clock.advance(600_000);
  t.is(balanced.pick(), undefined);
  t.is(balanced.balancer.rules('svc'), undefined);
  t.is(balanced.changes.length, 1);
});
