import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import * as z from 'zod';
import { type HubClient, HubError } from './hub-client.ts';

/** What the hub is started with, for the webhook to sign with: secrets stand in no event, and so in no command. */
export const webhookSecret = 'the demo signs with this text';
export const pluginSecrets = { NEXUS_PLUGIN_WEBHOOK_DEMO: webhookSecret };

type Tell = {
  print(line: string): void;
  check(claim: string, holds: boolean): void;
};

type Request = { readonly headers: Readonly<Record<string, unknown>>; readonly body: string };

const waitLimitMs = 15_000;

const until = async <Value>(ask: () => Promise<Value>, fits: (value: Value) => boolean): Promise<Value> => {
  const end = performance.now() + waitLimitMs;
  for (;;) {
    const value = await ask();
    if (fits(value) || performance.now() > end) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

/** An endpoint on this machine that keeps what it is sent. */
const openEndpoint = async () => {
  const requests: Request[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    requests.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
    response.writeHead(204).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { origin: `http://127.0.0.1:${port}`, requests, close: () => server.close() };
};

const isSigned = ({ headers, body }: Request): boolean => {
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  return (
    headers['webhook-signature'] ===
    `v1,${createHmac('sha256', webhookSecret).update(signed).digest('base64')}`
  );
};

const refusal = async (task: Promise<unknown>): Promise<string> => {
  try {
    await task;
    return 'nobody refused it';
  } catch (error) {
    if (error instanceof HubError) return error.message;
    throw error;
  }
};

const enabled = z.object({ name: z.string(), version: z.string(), status: z.string() });
const entry = z.object({ value: z.json(), version: z.number() });
const counts = z.object({ publish: z.number(), state: z.number(), register: z.number(), invoke: z.number() });
const day = z.object({ value: z.looseObject({ subjects: z.record(z.string(), counts) }) });

const order = { type: 'object', required: ['order'], properties: { order: { type: 'integer' } } };

/** Four plugins that come with the hub, enabled while it runs: a refusal, a delivery, a conflict settled, and who did what. */
export const playPlugins = async (hub: HubClient, { print, check }: Tell): Promise<void> => {
  const endpoint = await openEndpoint();
  const enable = async (name: string, body: object): Promise<void> => {
    const answer = await hub.request('POST', `/plugins/${name}/enable`, { body, timeoutMs: 20_000 });
    const { version, status } = enabled.parse(answer.body);
    print(`plugin    ${name} ${version}: ${status}`);
    check(`the plugin ${name} runs`, status === 'enabled');
  };
  await enable('audit-trail', { config: { flushMs: 50 } });
  await enable('schema-guard', { config: { schemas: { 'demo.orders': order } } });
  await enable('state-resolver', {});
  await enable('webhook', {
    permissions: { subscribe: ['demo.orders'], fetch: [endpoint.origin] },
    config: {
      endpoints: [
        { name: 'demo', url: `${endpoint.origin}/`, topics: ['demo.orders'], secret: { $secret: 'DEMO' } },
      ],
    },
  });

  const publish = (payload: unknown) => hub.request('POST', '/events/demo.orders', { body: { payload } });
  const refused = await refusal(publish({ order: 'seventeen' }));
  print(`refused   ${refused}`);
  check('a message that breaks its schema is refused', refused.includes('plugin_refused'));
  await publish({ order: 17 });
  const [delivered] = await until(
    async () => endpoint.requests,
    (requests) => requests.length > 0,
  );
  print(`delivered ${delivered?.body}`);
  check('the message came to the webhook, signed', delivered !== undefined && isSigned(delivered));

  const bid = (rank: number, by: string) => ({
    value: { rank, by },
    expectedVersion: 0,
    resolver: 'highest-wins',
  });
  for (const body of [bid(7, 'ann'), bid(9, 'bob'), bid(8, 'cid')])
    await hub.request('PUT', '/state/demo-bid', { body });
  const settled = entry.parse((await hub.request('GET', '/state/demo-bid')).body);
  print(`settled   ${JSON.stringify(settled.value)} is version ${settled.version}`);
  check('of three bids made at once the highest stands', JSON.stringify(settled.value).includes('bob'));

  const key = `plugin/audit-trail/days/${new Date().toISOString().slice(0, 10)}`;
  const view = await until(
    async () => (await hub.request('GET', `/state?prefix=${encodeURIComponent(key)}`)).body,
    (body) => JSON.stringify(body).includes('"publish":1') && /"state":[2-9]/.test(JSON.stringify(body)),
  );
  const [audited] = z.object({ entries: z.array(day) }).parse(view).entries;
  for (const [subject, done] of Object.entries(audited?.value.subjects ?? {}))
    print(`audit     ${subject}: ${JSON.stringify(done)}`);
  const own = audited?.value.subjects.local;
  check('the audit view has who did what', own !== undefined && own.publish >= 1 && own.state >= 2);
  endpoint.close();
};
