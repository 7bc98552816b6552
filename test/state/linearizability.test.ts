import test from 'ava';
import { type StateCall, type StateOperation, stateFaults } from '../support/state-model.ts';

const never = Number.POSITIVE_INFINITY;

type Asked = StateOperation extends infer One
  ? One extends unknown
    ? Omit<One, 'client' | 'key'>
    : never
  : never;

const at = (calledAt: number, returnedAt: number, asked: Asked, key = 'k'): StateCall => ({
  operation: { client: 0, key, ...asked } as StateOperation,
  calledAt,
  returnedAt,
});
const put = (value: string, version?: number): Asked => ({
  type: 'put',
  value,
  ...(version === undefined ? {} : { told: { outcome: 'written', version } }),
});
const cas = (expected: number, value: string, version?: number): Asked => ({
  type: 'cas',
  expected,
  value,
  ...(version === undefined ? {} : { told: { outcome: 'written', version } }),
});
const refused = (expected: number, current: number, value: string | null): Asked => ({
  type: 'cas',
  expected,
  value: 'refused',
  told: { outcome: 'conflict', current, value },
});
const remove = (outcome?: 'removed' | 'absent'): Asked => ({
  type: 'delete',
  ...(outcome === undefined ? {} : { told: { outcome } }),
});
const get = (version: number, value: string): Asked => ({
  type: 'get',
  told: { outcome: 'found', version, value },
});
const absent: Asked = { type: 'get', told: { outcome: 'absent' } };

const good: Readonly<Record<string, readonly StateCall[]>> = {
  'nothing at all': [],
  'one after the other': [
    at(0, 1, absent),
    at(2, 3, put('a', 1)),
    at(4, 5, get(1, 'a')),
    at(6, 7, cas(1, 'b', 2)),
    at(8, 9, refused(1, 2, 'b')),
    at(10, 11, remove('removed')),
    at(12, 13, remove('absent')),
    at(14, 15, refused(2, 0, null)),
    at(16, 17, cas(0, 'c', 4)),
    at(18, 19, get(4, 'c')),
  ],
  'a read beside a write may show either': [
    at(0, 10, put('a', 1)),
    at(1, 9, absent),
    at(2, 8, get(1, 'a')),
    at(11, 20, put('b', 2)),
    at(12, 13, get(1, 'a')),
    at(14, 15, get(2, 'b')),
  ],
  'a call without an answer took effect long after it': [
    at(0, 1, put('a', 1)),
    at(2, never, put('late', undefined)),
    at(3, 4, get(1, 'a')),
    at(5, 6, put('b', 2)),
    at(7, 8, get(3, 'late')),
  ],
  'a call without an answer never took effect': [
    at(0, 1, put('a', 1)),
    at(2, never, put('lost', undefined)),
    at(3, never, remove()),
    at(4, never, cas(1, 'lost too')),
    at(5, 6, get(1, 'a')),
    at(7, 8, put('b', 2)),
  ],
  'a removal without an answer is seen by its hole in the versions': [
    at(0, 1, put('a', 1)),
    at(2, never, remove()),
    at(3, 4, cas(0, 'b', 3)),
  ],
  'keys are of their own': [
    at(0, 1, put('a', 1), 'one'),
    at(2, 3, put('b', 1), 'two'),
    at(4, 5, absent, 'three'),
  ],
};

for (const [name, history] of Object.entries(good)) {
  test(`the checker › accepts: ${name}`, (t) => {
    t.deepEqual(stateFaults(history), []);
  });
}

const bad: Readonly<Record<string, readonly StateCall[]>> = {
  'a lost update: two that rest on one version': [
    at(0, 1, put('a', 1)),
    at(2, 10, cas(1, 'b', 2)),
    at(3, 11, cas(1, 'c', 3)),
  ],
  'a stale read': [at(0, 1, put('a', 1)), at(2, 3, put('b', 2)), at(4, 5, get(1, 'a'))],
  'a stale read after a newer one, beside the write': [
    at(0, 1, put('a', 1)),
    at(2, 20, put('b', 2)),
    at(3, 4, get(2, 'b')),
    at(5, 6, get(1, 'a')),
  ],
  'a stale read after a refusal that told the newer version': [
    at(0, 1, put('a', 1)),
    at(2, 20, put('b', 2)),
    at(3, 4, refused(1, 2, 'b')),
    at(5, 6, get(1, 'a')),
  ],
  'a version that comes twice': [at(0, 10, put('a', 1)), at(1, 11, put('b', 1))],
  'a version that nobody made': [at(0, 1, put('a', 1)), at(2, 3, put('b', 3))],
  'a value that nobody wrote': [at(0, 1, put('a', 1)), at(2, 3, get(1, 'b'))],
  'a write that was answered and then is gone': [at(0, 1, put('a', 1)), at(2, 3, absent)],
  'a call that is seen before it was made': [at(0, 1, get(1, 'a')), at(2, 3, put('a', 1))],
  'a call without an answer that is seen, then not, then again': [
    at(0, 1, put('a', 1)),
    at(2, never, put('b')),
    at(3, 4, get(2, 'b')),
    at(5, 6, get(1, 'a')),
  ],
  'a refusal that names another value': [at(0, 1, put('a', 1)), at(2, 3, refused(5, 1, 'b'))],
  'a refusal of the version that was there': [at(0, 1, put('a', 1)), at(2, 3, refused(1, 1, 'a'))],
  'a removal of what is not there': [at(0, 1, remove('removed'))],
};

for (const [name, history] of Object.entries(bad)) {
  test(`the checker › finds: ${name}`, (t) => {
    t.deepEqual(
      stateFaults(history).map(({ key }) => key),
      ['k'],
    );
  });
}

test('the checker › says how far there is an order, and what does not fit behind it', (t) => {
  const [fault] = stateFaults([at(0, 1, put('a', 1)), at(2, 3, put('b', 2)), at(4, 5, get(1, 'a'))]);
  t.is(fault?.ordered, 2);
  t.deepEqual(fault?.state, { version: 2, value: 'b' });
  t.is(fault?.before.length, 2);
  t.like(fault?.stuck[0], { type: 'get', told: { version: 1 } });
});

/** Whatever order the calls had, and however much they overlap, a history that has one is accepted. */
test('the checker › accepts 20,000 overlapping calls of 16 clients that one object has answered, and no stale read among them', (t) => {
  let seed = 7;
  const draw = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const history: StateCall[] = [];
  let version = 0;
  let value: string | undefined;
  for (let index = 0; index < 20_000; index++) {
    // The effect is at 16 * index; the call is open before and behind it, over up to 16 others.
    const moment = 16 * index;
    const lasts = (asked: Asked): void => {
      const lost = asked.type !== 'get' && index % 500 === 7;
      const { told: _, ...unknown } = asked;
      history.push(
        at(moment - draw(128), lost ? never : moment + 1 + draw(128), lost ? (unknown as Asked) : asked),
      );
    };
    const kind = draw(10);
    const there = value === undefined ? 0 : version;
    if (kind < 4) lasts(value === undefined ? absent : get(version, value));
    else if (kind < 6) lasts(refused(there + 1, there, value ?? null));
    else if (kind < 7) {
      lasts(remove(value === undefined ? 'absent' : 'removed'));
      if (value !== undefined) version++;
      value = undefined;
    } else {
      lasts(kind < 9 ? put(`v${index}`, version + 1) : cas(there, `v${index}`, version + 1));
      version++;
      value = `v${index}`;
    }
  }
  t.deepEqual(stateFaults(history), []);
  const past = 16 * 20_000 + 1_000;
  t.is(stateFaults([...history, at(past, past + 1, get(1, 'v0'))]).length, 1);
});
