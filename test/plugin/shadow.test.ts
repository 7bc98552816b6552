import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest, { type TestFn } from 'ava';
import type { ShadowReport } from '../../src/nexus-plugins.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { writePlugin } from '../support/plugin-folder.ts';
import { request, until } from '../support/rest.ts';

const test = anyTest as TestFn<{ readonly hub: Hub; readonly directory: string }>;

const permissions = {
  publish: ['audit.>'],
  subscribe: ['jobs.>'],
  state: { read: ['app/*'], write: ['app/*'] },
  hooks: { before_publish: { match: ['orders.>'], timeoutMs: 10_000, onFailure: 'refuse' } },
};
const limits = { timeoutMs: 10_000, cpuMsPerCall: 5_000 };

/** Refuses what is too expensive, tells of it, counts jobs and reads what is allowed. */
const source = (most: string, tells: string, counts: string): string => `
  export const initialize = async (context) => {
    context.hooks.register('before_publish', async ({ topic, payload }) => {
      const allowed = await context.state.get('app/most');
      const most = allowed === null ? ${most} : allowed.value;
      ${tells}
      return payload.amount > most ? { refuse: 'too expensive' } : undefined;
    });
    await context.messageBus.subscribe('jobs.>', async ({ payload }) => { ${counts} });
  };
`;
const first = source(
  '100',
  "await context.messageBus.publish('audit.orders', { amount: payload.amount });",
  "await context.state.set('app/jobs', payload);",
);
const second = source(
  '10',
  "await context.messageBus.publish('audit.orders', { amount: payload.amount, most });",
  "await context.state.set('app/jobs', payload); await context.fetch('https://example.com/');",
);

test.before(async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'nexus-shadow-'));
  await writePlugin(directory, 'guard', { manifest: { permissions, limits }, source: first });
  Object.assign(t.context, { directory, hub: await openHub({ pluginDir: directory }) });
});

test.after.always(async (t) => {
  await t.context.hub.close();
  await rm(t.context.directory, { recursive: true, force: true });
});

test.serial('shadow › nothing is shown of a plugin that does not run', async (t) => {
  const { url } = t.context.hub;
  const { status, body } = await request(url, 'POST', '/plugins/guard/shadow', { body: {} });
  t.is(status, 409);
  t.like(body, { code: 'plugin_rejected' });
  t.is((await request(url, 'POST', '/plugins/nobody/shadow', { body: {} })).status, 404);
  const late = await request(url, 'POST', '/plugins/guard/shadow', { body: { minutes: 61 } });
  t.is(late.status, 422);
});

test.serial('shadow › the same version differs in nothing', async (t) => {
  const { url } = t.context.hub;
  t.like((await request(url, 'POST', '/plugins/guard/enable', { body: {} })).body, { status: 'enabled' });
  for (const amount of [5, 50, 500]) {
    const { status } = await request(url, 'POST', '/events/orders.new', { body: { payload: { amount } } });
    t.is(status, amount > 100 ? 422 : 201);
  }
  await request(url, 'POST', '/events/jobs.done', { body: { payload: 'a job' } });
  // A call is recorded when it is answered, which is after what it wrote can be read.
  await until(
    () => request(url, 'GET', '/plugins/guard'),
    ({ body: { metrics } }) => (metrics as { readonly calls: number }).calls === 4,
  );
  const { status, body } = await request(url, 'POST', '/plugins/guard/shadow', { body: {} });
  t.is(status, 200, JSON.stringify(body));
  t.like(body, {
    name: 'guard',
    calls: 4,
    notShown: 0,
    differentAnswers: 0,
    missingWishes: 0,
    additionalWishes: 0,
    differentWishes: 0,
    wishesLeftOut: 0,
    refused: {},
    failures: {},
  });
});

test.serial(
  'shadow › another version is shown the same calls, and nothing that it wishes is done',
  async (t) => {
    const { hub, directory } = t.context;
    const { url } = hub;
    await writePlugin(directory, 'guard', {
      version: '1.1.0',
      manifest: { permissions: { ...permissions, fetch: ['https://example.com'] }, limits },
      source: second,
    });
    const before = await request(url, 'GET', '/events?topic=audit.%3E');
    const { status, body } = await request(url, 'POST', '/plugins/guard/shadow', { body: { minutes: 5 } });
    t.is(status, 200, JSON.stringify(body));
    t.like(body, {
      running: { version: '1.0.0' },
      shadow: { version: '1.1.0' },
      minutes: 5,
      calls: 4,
      notShown: 0,
      // 50 is too expensive now, and a fetch that was not granted fails the job.
      differentAnswers: 2,
      // The fetch is one that only the shadow wants; what is told has another content.
      additionalWishes: 1,
      missingWishes: 0,
      differentWishes: 3,
      refused: { fetch: 1 },
      failures: { threw: 1 },
    });
    const { differences, wishes, latencyMs } = body as unknown as ShadowReport;
    t.deepEqual(
      differences.map(({ target }) => target),
      ['hook:before_publish', 'message:jobs.>'],
    );
    t.like(differences[0], {
      input: { topic: 'orders.new', payload: { amount: 50 } },
      shadow: { value: { refuse: 'too expensive' } },
    });
    t.deepEqual(
      wishes.map(({ operation }) => operation),
      ['publish', 'publish', 'publish', 'fetch'],
    );
    t.like(wishes[0], { running: { topic: 'audit.orders' }, shadow: { topic: 'audit.orders' } });
    t.is(typeof latencyMs.shadow.p50, 'number');

    const after = await request(url, 'GET', '/events?topic=audit.%3E');
    t.deepEqual(after.body.events, before.body.events, 'no message of the shadow stands in the log');
    t.like((await request(url, 'GET', '/plugins/guard')).body, { version: '1.0.0', status: 'enabled' });
    const { status: still } = await request(url, 'POST', '/events/orders.new', {
      body: { payload: { amount: 50 } },
    });
    t.is(still, 201, 'the running version still decides');
  },
);

test.serial(
  'shadow › a version that was not taken leaves no trace in what the running one was called for',
  async (t) => {
    const { hub, directory } = t.context;
    const { url } = hub;
    await writePlugin(directory, 'guard', {
      version: '1.1.1',
      manifest: { permissions, limits },
      source: `export const initialize = async ({ messageBus }) => {
      await messageBus.subscribe('jobs.other', () => {});
      throw new Error('not today');
    };`,
    });
    t.is((await request(url, 'POST', '/plugins/guard/reload', { body: {} })).status, 409);
    await writePlugin(directory, 'guard', { manifest: { permissions, limits }, source: first });
    const { body } = await request(url, 'POST', '/plugins/guard/shadow', { body: {} });
    t.like(body, {
      missingWishes: 0,
      additionalWishes: 0,
      differentWishes: 0,
      differentAnswers: 0,
      wishes: [],
    });
  },
);

test.serial('shadow › a version that does not start, or dies, is told of and harms nobody', async (t) => {
  const { hub, directory } = t.context;
  const { url } = hub;
  const manifest = { permissions, limits };
  await writePlugin(directory, 'guard', {
    version: '1.2.0',
    manifest,
    source: "export const initialize = () => { throw new Error('not today'); };",
  });
  const thrown = await request(url, 'POST', '/plugins/guard/shadow', { body: {} });
  t.is(thrown.status, 409);
  t.regex(String(thrown.body.detail), /not today/);

  const dying = "if (payload.amount === 50) 'a'.repeat(2e8).split('');";
  await writePlugin(directory, 'guard', { version: '1.3.0', manifest, source: source('100', dying, '') });
  const { status, body } = await request(url, 'POST', '/plugins/guard/shadow', { body: {} });
  t.is(status, 200, JSON.stringify(body));
  const { calls, notShown, failures } = body as unknown as ShadowReport;
  t.true(notShown > 0 && calls >= 1, JSON.stringify(body));
  t.true(Object.keys(failures).length > 0);
  t.like((await request(url, 'GET', '/plugins/guard')).body, { version: '1.0.0', status: 'enabled' });
  const { status: still } = await request(url, 'POST', '/events/orders.new', {
    body: { payload: { amount: 50 } },
  });
  t.is(still, 201);
});
