import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Json } from '../../../domain/event.ts';
import {
  by,
  invoke,
  type OpenPluginTest,
  openPluginTest,
  type PluginTestOptions,
  publish,
  register,
  remove,
  set,
} from '../../../src/plugin/test-kit.ts';
import { until } from '../../support/rest.ts';

/** The bundled plugins in their sandbox, in a whole hub. */

const openBundled = async (
  t: ExecutionContext,
  name: string,
  options: Omit<PluginTestOptions, 'folder'> = {},
): Promise<OpenPluginTest> => {
  t.timeout(120_000);
  const folder = join(import.meta.dirname, '../../../plugins', name);
  const plugin = await openPluginTest({ folder, waitMs: 20_000, ...options });
  t.teardown(() => plugin.close());
  return plugin;
};

/** The value of a key; undefined when there is none. */
const readKey = async ({ core, contextOf }: OpenPluginTest, key: string): Promise<Json | undefined> => {
  const entry = await core.state(key, {}, contextOf('reader'));
  return entry.ok ? entry.value.value : undefined;
};

const order = {
  type: 'object',
  required: ['order'],
  properties: { order: { type: 'integer' } },
};

test.serial(
  'schema-guard › refuses by the schemas of the configuration and of keys, which change while it runs',
  async (t) => {
    const plugin = await openBundled(t, 'schema-guard', { config: { schemas: { 'orders.*': order } } });
    await plugin.when(publish('orders.created', { order: 1 })).thenPublished({ topic: 'orders.created' });
    await plugin.when(publish('elsewhere', 'anything')).thenAccepted();
    await plugin.when(publish('orders.created', { order: 'x' })).thenRefused({
      reason: 'the payload breaks the schema of orders.created',
      hook: 'before_publish',
      details: {
        topic: 'orders.created',
        errors: [{ schema: 'orders.*', pointer: '/order', keyword: 'type', detail: 'must be integer' }],
      },
    });

    const key = 'plugin/schema-guard/schemas/stock.>';
    await plugin
      .when(set(key, { type: 'strnig' }))
      .thenRefused({ hook: 'before_state_change', reason: /no schema that can be used/ });
    await plugin.when(set(key, { type: 'number' })).thenAccepted();
    const attempt = async (payload: Json): Promise<string> => {
      const data = { topic: 'stock.changed', payload };
      const done = await plugin.core.execute({ type: 'PublishMessage', data }, plugin.contextOf('ann'));
      return done.ok ? 'ok' : done.problem.code;
    };
    await until(
      () => attempt('text'),
      (code) => code === 'plugin_refused',
    );
    t.is(await attempt(1), 'ok');
    await plugin.restart();
    // Away for a while on a busy machine; what is never is that a message passes.
    const first = await until(
      () => attempt('text'),
      (code) => code !== 'plugin_failed',
    );
    t.is(first, 'plugin_refused', 'from the first message on');
    await plugin.when(remove(key)).thenAccepted();
    await until(
      () => attempt('text'),
      (code) => code === 'ok',
    );
  },
);

type Delivered = { readonly headers: IncomingHttpHeaders; readonly body: string };

/** An endpoint that answers with the statuses that it is told, then with 200. */
const openEndpoint = async (t: ExecutionContext) => {
  const delivered: Delivered[] = [];
  const statuses: number[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    delivered.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
    response.writeHead(statuses.shift() ?? 200).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { origin, delivered, statuses };
};

test.serial(
  'webhook › delivers signed, tries again, gives up to a dead letter, and stops where it is gone',
  async (t) => {
    const endpoint = await openEndpoint(t);
    const secret = Buffer.from('a key of 24 bytes, or so').toString('base64');
    const plugin = await openBundled(t, 'webhook', {
      secrets: { SHOP: `whsec_${secret}` },
      permissions: { subscribe: ['orders.>'], fetch: [endpoint.origin] },
      config: {
        endpoints: [
          {
            name: 'shop',
            url: `${endpoint.origin}/hooks`,
            topics: ['orders.*'],
            secret: { $secret: 'SHOP' },
            maxDeliver: 2,
            // So long that the plugin has heard by then that it stopped an endpoint itself.
            backoffMs: [1_000],
          },
        ],
      },
    });
    const { delivered, statuses } = endpoint;
    const deliveries = (count: number) =>
      until(
        async () => delivered.length,
        (length) => length >= count,
      );

    statuses.push(500);
    await plugin.when(publish('orders.created', { order: 1 }, { messageId: 'order-1' })).thenAccepted();
    await deliveries(2);
    for (const { headers, body } of delivered) {
      t.is(headers['webhook-id'], 'order-1');
      t.like(JSON.parse(body), { type: 'orders.created', data: { order: 1 } });
      const signed = `order-1.${headers['webhook-timestamp']}.${body}`;
      const key = Buffer.from(secret, 'base64');
      t.is(headers['webhook-signature'], `v1,${createHmac('sha256', key).update(signed).digest('base64')}`);
    }

    statuses.push(500, 404);
    await plugin.when(publish('orders.created', { order: 2 }, { messageId: 'order-2' })).thenAccepted();
    await deliveries(4);
    const subscriptions = await plugin.core.subscriptions(plugin.contextOf('reader'));
    t.true(subscriptions.ok);
    if (!subscriptions.ok) return;
    const [subscription] = subscriptions.value.subscriptions;
    const name = subscription?.name ?? '';
    t.regex(name, /^plugin\.webhook\.shop-[0-9a-f]{8}$/);
    const letters = await until(
      async () => plugin.core.deadLetters(name, {}, plugin.contextOf('reader')),
      (page) => page.ok && page.value.deadLetters.length === 1,
    );
    t.regex(JSON.stringify(letters), /shop answered 500.*shop answered 404/);

    statuses.push(410);
    const gone = plugin.when(publish('orders.created', { order: 3 }, { messageId: 'order-3' }));
    await gone.thenAccepted();
    const key = 'plugin/webhook/endpoints/shop';
    const state = await until(
      () => readKey(plugin, key),
      (value) => value !== undefined,
    );
    t.like(state, { gone: `${endpoint.origin}/hooks` });
    const before = delivered.length;
    await plugin.when(publish('orders.created', { order: 4 }, { messageId: 'order-4' })).thenAccepted();
    await plugin.restart();
    t.is(delivered.length, before, 'nothing is delivered while it is gone, after a restart neither');
    await plugin.when(remove(key)).thenAccepted();
    await until(
      async () => delivered.map(({ headers }) => headers['webhook-id']),
      (ids) => ids.includes('order-4') && ids.lastIndexOf('order-3') >= before,
    );
  },
);

test.serial('audit-trail › counts who did what by day, and each message once over restarts', async (t) => {
  const plugin = await openBundled(t, 'audit-trail', {
    config: { flushMs: 10, entries: 20 },
    services: { 'bill-maker': (_method, data) => data },
  });
  await plugin
    .given(
      by('ann', publish('orders.created', 1)),
      by('ann', publish('orders.created', 2)),
      by('bob', set('app/theme', 'dark')),
      by('cid', register({ name: 'mailer' })),
    )
    .when(by('bob', invoke('bill-maker', 'make', 1)))
    .thenAnswered(1);
  const today = new Date().toISOString().slice(0, 10);
  type DayView = { readonly subjects: Readonly<Record<string, Readonly<Record<string, number>>>> };
  const dayWhen = (holds: (day: DayView) => boolean): Promise<DayView> =>
    until(
      async () => (await readKey(plugin, `plugin/audit-trail/days/${today}`)) as DayView,
      (day) => day !== undefined && holds(day),
    );
  const total = ({ subjects }: DayView, action: string): number =>
    Object.values(subjects).reduce((sum, counts) => sum + (counts[action] ?? 0), 0);
  const day = await dayWhen(
    (view) =>
      total(view, 'publish') >= 2 &&
      total(view, 'state') >= 1 &&
      total(view, 'invoke') >= 1 &&
      total(view, 'register') >= 1,
  );
  t.like(day.subjects, {
    ann: { publish: 2, state: 0 },
    bob: { state: 1, invoke: 1 },
    cid: { register: 1 },
  });
  // The list is written after the counts, batch by batch: a call that is counted may not be in it yet.
  const listed = (): Promise<string> =>
    readKey(plugin, 'plugin/audit-trail/recent').then((value) => JSON.stringify(value ?? null));
  const recent = await until(
    listed,
    (text) => text.includes('"action":"invoke"') && text.includes('"target":"mailer"'),
  );
  t.regex(recent, /"subject":"bob","action":"invoke","target":"bill-maker\/make","outcome":"ok"/);

  const many = 300;
  for (const part of [0, 1, 2]) {
    const context = plugin.contextOf('dan');
    await Promise.all(
      Array.from({ length: many / 3 }, (_, index) => {
        const data = { topic: 'orders.counted', payload: part * many + index };
        return plugin.core.execute({ type: 'PublishMessage', data }, context);
      }),
    );
    // In the middle of what is being written.
    if (part < 2) await plugin.restart();
  }
  const counted = await dayWhen(({ subjects }) => (subjects.dan?.publish ?? 0) >= many);
  t.is(counted.subjects.dan?.publish, many);
});

test.serial(
  'state-resolver › settles conflicts of writes that name its resolvers, and refuses what it cannot',
  async (t) => {
    const plugin = await openBundled(t, 'state-resolver', { config: { items: '/list' } });
    const bid = (rank: number, name: string) => ({ rank, name });
    const stale = { expectedVersion: 0, resolver: 'highest-wins' };
    await plugin
      .given(set('bid', bid(7, 'ann')))
      .when(set('bid', bid(5, 'bob'), stale))
      .thenState('bid', bid(7, 'ann'));
    await plugin.when(set('bid', bid(9, 'cid'), stale)).thenState('bid', bid(9, 'cid'));
    const [one, two, three] = [{ id: 1 }, { id: 2 }, { id: 3 }];
    await plugin
      .given(set('cart', { list: [one] }), set('cart', { list: [one, two] }))
      .when(set('cart', { list: [one, three] }, { expectedVersion: 1, resolver: 'union-by-id' }))
      .thenState('cart', { list: [one, two, three] });
    const refused = await plugin.core.execute(
      { type: 'SetState', data: { key: 'bid', value: 'text', ...stale } },
      plugin.contextOf('ann'),
    );
    t.like(refused, { ok: false, problem: { code: 'version_conflict' } });
    t.regex(JSON.stringify(refused), /the new value has no number at \/rank/);
  },
);
