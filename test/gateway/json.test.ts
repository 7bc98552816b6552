import test from 'ava';
import { maxJsonDepth, parseJson } from '../../src/gateway/json.ts';

const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);

test('parseJson › takes what JSON.parse takes, as text and as bytes', (t) => {
  for (const text of ['null', '0', '-0.5e3', '""', '[]', '{}', '{"a":[1,{"b":null}]}', ' \n"ä😀\\u0000" ']) {
    const expected: unknown = JSON.parse(text);
    t.deepEqual(parseJson(text), { ok: true, value: expected as never });
    t.deepEqual(parseJson(Buffer.from(text)), { ok: true, value: expected as never });
  }
});

test(`parseJson › takes ${maxJsonDepth} levels and refuses one more, however deep it goes on`, (t) => {
  t.true(parseJson(nested(maxJsonDepth)).ok);
  for (const depth of [maxJsonDepth + 1, 100_000]) {
    const result = parseJson(nested(depth));
    t.is(result.ok ? undefined : result.problem.code, 'bad_json');
  }
  const objects = `${'{"a":'.repeat(maxJsonDepth)}1${'}'.repeat(maxJsonDepth)}`;
  t.true(parseJson(objects).ok);
  t.false(parseJson(`[${objects}]`).ok);
});

for (const key of ['__proto__', 'constructor', 'prototype', '\\u005f_proto__', 'constr\\u0075ctor']) {
  test(`parseJson › refuses the key ${key} at any depth, and says where`, (t) => {
    for (const [text, pointer] of [
      [`{"${key}":1}`, ''],
      [`{"a":[0,{"b/~":{"${key}":{}}}]}`, '/a/1/b~1~0'],
    ] as const) {
      const result = parseJson(text);
      t.false(result.ok);
      if (result.ok) return;
      t.is(result.problem.code, 'bad_json');
      t.is(result.problem.facts?.pointer, `${pointer}/${JSON.parse(`"${key}"`)}`);
    }
  });
}

test('parseJson › takes those names as values and as parts of other keys', (t) => {
  t.true(parseJson('{"a":"__proto__","constructors":["prototype"],"__proto":1}').ok);
});

test('parseJson › refuses numbers that a double does not hold, and says where', (t) => {
  const result = parseJson('{"a":[1,1e999]}');
  t.is(result.ok ? undefined : result.problem.facts?.pointer, '/a/1');
});

test('parseJson › refuses what is not JSON or not UTF-8 as bad_json', (t) => {
  const inputs = ['', '{', 'undefined', "{'a':1}", '[1,]', '01', '"\u0001"', 'NaN', '\uFEFF{}'];
  for (const input of [...inputs, Buffer.from([0x22, 0xff, 0x22]), Buffer.from([0x22, 0xc0, 0xaf, 0x22])]) {
    const result = parseJson(input);
    t.is(result.ok ? undefined : result.problem.code, 'bad_json', String(input));
  }
});
