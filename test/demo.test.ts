import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import test from 'ava';
import { differences, type Picture } from '../demo/history.ts';
import { parsePage } from '../demo/services/html.ts';
import { pageOf } from '../demo/services/markdown.ts';
import { type Offer, planFor } from '../demo/services/plan.ts';
import { summarise } from '../demo/services/statistics.ts';

test('the demo ends with exit code 0, its figures, and every check passed', async (t) => {
  t.timeout(90_000);
  const script = join(import.meta.dirname, '../demo/run.ts');
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code]: unknown[] = await once(child, 'close');
  t.log(output.trimEnd().split('\n').at(-1));
  t.is(code, 0, output);
  t.regex(output, /^demo: [1-9]\d* events, [1-9]\d* invocations, \d+\.\d seconds, 0 failed checks$/m);
  t.false(output.includes('FAIL'));
});

test('the comparison of the demo sees what differs, and lets the log go on', (t) => {
  const before: Picture = {
    registry: [{ id: 'a' }],
    state: [{ key: 'k', value: 1, version: 1 }],
    messages: [1],
    log: [],
  };
  t.deepEqual(differences(before, structuredClone(before)), []);
  const event = {
    id: 'e',
    stream: 's',
    revision: 0,
    position: 'p',
    type: 'T',
    data: 1,
    metadata: { recordedAt: '', correlationId: '' },
  };
  t.deepEqual(differences(before, { ...before, log: [event] }), []);
  t.deepEqual(differences({ ...before, log: [event] }, before), ['log']);
  t.deepEqual(differences(before, { ...before, registry: [{ id: 'b' }], messages: [] }), [
    'registry',
    'messages',
  ]);
  t.deepEqual(differences(before, { ...before, state: [{ key: 'k', value: 1, version: 2 }] }), ['state']);
});

const offer = (service: string, takes: readonly string[], gives: string): Offer => ({
  service,
  method: 'm',
  takes,
  gives,
});

test('a plan has each needed step once, behind those that it needs, and no other', (t) => {
  const offers = [
    offer('end', ['left', 'right'], 'goal'),
    offer('a', ['seed'], 'left'),
    offer('b', ['left'], 'right'),
    offer('unused', [], 'other'),
  ];
  const plan = planFor('goal', new Set(['seed']), offers);
  t.deepEqual(plan.ok ? plan.stages.map((stage) => stage.map(({ service }) => service)) : plan, [
    ['a'],
    ['b'],
    ['end'],
  ]);
});

test('a plan names what nobody offers and what needs itself', (t) => {
  t.deepEqual(planFor('goal', new Set(), [offer('end', ['x', 'y'], 'goal')]), {
    ok: false,
    missing: ['x', 'y'],
  });
  const circle = [offer('a', ['two'], 'one'), offer('b', ['one'], 'two')];
  t.deepEqual(planFor('one', new Set(), circle), { ok: false, missing: ['one'] });
});

test('figures are those of the textbook', (t) => {
  t.deepEqual(summarise([2, 4, 4, 4, 5, 5, 7, 9]), {
    n: 8,
    sum: 40,
    mean: 5,
    median: 4.5,
    p90: 7.6,
    max: 9,
    deviation: 2.14,
  });
  t.is(summarise([]), undefined);
  t.is(summarise([3])?.deviation, 0);
});

test('a document that becomes a page is read back from it', (t) => {
  const markdown =
    '# Title & more\n\nText with [a link](docs/x.md#part) and `<code>`.\n\n| a | b |\n|---|---|\n| one | two |\n\n- item\n\n```\n# not a heading\n```\n';
  const page = parsePage(pageOf('A <page>', markdown));
  t.is(page.title, 'A <page>');
  t.deepEqual(page.headings, ['Title & more']);
  t.deepEqual(page.links, ['docs/x.html#part']);
  t.true(['text', 'code', 'one', 'two', 'item', 'heading'].every((word) => page.words.includes(word)));
});
