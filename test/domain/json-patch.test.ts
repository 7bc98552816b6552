import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import test from 'ava';
import fc from 'fast-check';
import type { Json } from '../../domain/event.ts';
import { applyPatch, type PatchOperation } from '../../domain/json-patch.ts';
import { stateSchemas } from '../../src/command/state-schemas.ts';
import { anyJson, seeded } from '../support/arbitraries.ts';
import { frozen } from '../support/frozen.ts';
import { anyOperation } from '../support/state-arbitraries.ts';

type Case = {
  readonly comment?: string;
  readonly doc: Json;
  readonly patch: readonly unknown[];
  readonly expected?: Json;
  readonly error?: string;
  readonly disabled?: boolean;
};

const suite = (file: string): readonly Case[] =>
  JSON.parse(readFileSync(createRequire(import.meta.url).resolve(`json-patch-test-suite/${file}`), 'utf8'));

/** As a request is judged: what the schema of the command takes, is applied. */
const outcome = (doc: Json, patch: unknown) => {
  const checked = stateSchemas.PatchState.safeParse({ key: 'k', format: 'json-patch', patch });
  if (!checked.success || checked.data.format !== 'json-patch') return { ok: false } as const;
  return applyPatch(frozen(doc), checked.data.patch);
};

for (const file of ['spec_tests.json', 'tests.json']) {
  const cases = suite(file);
  test(`the suite of the RFC’s editors › ${file}`, (t) => {
    t.true(cases.length > 15);
    for (const [index, { comment = '', doc, patch, expected, error, disabled }] of cases.entries()) {
      if (disabled === true) continue;
      const found = outcome(doc, patch);
      const name = `case ${index} ${comment}`;
      if (error !== undefined) t.false(found.ok, `${name}: ${error}`);
      else if (expected === undefined) t.true(found.ok, name);
      else t.deepEqual(found, { ok: true, value: expected }, name);
    }
  });
}

test('all operations or none › a fault names the operation, and the value stays as it was', (t) => {
  const doc = frozen({ a: [1, 2], b: { c: 3 } });
  const patch: PatchOperation[] = [
    { op: 'remove', path: '/a/0' },
    { op: 'test', path: '/b/c', value: 4 },
  ];
  t.deepEqual(applyPatch(doc, patch), { ok: false, index: 1, detail: 'the value at "/b/c" is another one' });
  t.deepEqual(doc, { a: [1, 2], b: { c: 3 } });
});

test('names that no object may have are refused wherever an operation would make one', (t) => {
  for (const name of ['__proto__', 'constructor', 'prototype']) {
    const found = [
      applyPatch({ a: 1 }, [{ op: 'add', path: `/${name}`, value: { polluted: true } }]),
      applyPatch({ a: 1 }, [{ op: 'copy', from: '/a', path: `/${name}` }]),
      applyPatch({ a: 1 }, [{ op: 'move', from: '/a', path: `/${name}` }]),
      applyPatch({ a: 1 }, [{ op: 'add', path: `/${name}/polluted`, value: true }]),
    ];
    t.deepEqual(
      found.map(({ ok }) => ok),
      [false, false, false, false],
    );
  }
  t.false('polluted' in {});
});

test('copies of copies end before they fill the memory', (t) => {
  const doubling: PatchOperation[] = Array.from({ length: 40 }, () => ({
    op: 'copy',
    from: '/a',
    path: '/a/-',
  }));
  t.like(applyPatch({ a: ['x'.repeat(100)] }, doubling), {
    ok: false,
    detail: 'the patch takes too much work: patch less at once',
  });
  const deep: PatchOperation[] = Array.from({ length: 70 }, (_, index) => ({
    op: 'add',
    path: '/a'.repeat(index + 1),
    value: {},
  }));
  t.like(applyPatch({}, deep), { ok: false, detail: 'the result would be too large or too deep' });
});

test('many operations on a long list end before they take long', (t) => {
  const list = Array.from({ length: 100_000 }, () => 0);
  const patch: PatchOperation[] = Array.from({ length: 1_000 }, () => ({ op: 'add', path: '/0', value: 1 }));
  const found = applyPatch(list, patch);
  t.like(found, { ok: false, detail: 'the patch takes too much work: patch less at once' });
});

test('any patch of any value › is applied or refused, and changes nothing that was there', (t) => {
  const property = fc.property(anyJson, fc.array(anyOperation, { maxLength: 6 }), (value, patch) => {
    const before = JSON.stringify(value);
    const first = applyPatch(frozen(value), patch);
    t.deepEqual(applyPatch(value, patch), first);
    t.is(JSON.stringify(value), before);
  });
  t.notThrows(() => fc.assert(property, seeded));
});
