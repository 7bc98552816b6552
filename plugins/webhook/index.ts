import type { Json, PluginContext, PluginMessage, Stoppable } from 'nexus-integration-core/plugin';
import { deliveryOf, keyOf } from './delivery.ts';

type Endpoint = {
  readonly name: string;
  readonly url: string;
  readonly topics: readonly string[];
  readonly secret: string;
  /** Signs too, as long as receivers change to the other. */
  readonly previousSecret?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly maxDeliver: number;
  readonly backoffMs: readonly number[];
  readonly maxInFlight: number;
};

type Config = { readonly endpoints: readonly Endpoint[] };

/** A plugin has 64 subscriptions and watches at most, and each endpoint has a watch. */
const maxTopics = 48;
const endpointName = /^[a-z0-9][a-z0-9-]{0,19}$/;

/** Of a topic pattern, for the name of its subscription: FNV-1a, 32 bits. */
const shortHash = (text: string): string => {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++)
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, '0');
};

const checked = ({ endpoints }: Config): readonly Endpoint[] => {
  const names = new Set<string>();
  for (const { name } of endpoints) {
    if (!endpointName.test(name)) throw new Error(`${name} is no name of an endpoint: a-z, 0-9 and hyphens`);
    if (names.has(name)) throw new Error(`there are two endpoints ${name}`);
    names.add(name);
  }
  const topics = endpoints.reduce((sum, endpoint) => sum + endpoint.topics.length, 0);
  if (topics > maxTopics) throw new Error(`the endpoints have ${topics} topics, ${maxTopics} at most`);
  return endpoints;
};

/** The URL that the endpoint had when it answered `410 Gone`. */
const goneUrl = (value: Json | undefined): string | undefined =>
  typeof value === 'object' && value !== null && 'gone' in value && typeof value.gone === 'string'
    ? value.gone
    : undefined;

export const initialize = async (context: PluginContext<Config>): Promise<void> => {
  for (const endpoint of checked(context.config)) await serve(endpoint, context);
};

/** Delivers to one endpoint, except while its state key says that it is gone. */
const serve = async (
  endpoint: Endpoint,
  { fetch, log, messageBus, state }: PluginContext<Config>,
): Promise<void> => {
  const { name, url } = endpoint;
  const keys = [endpoint.secret, endpoint.previousSecret].filter((text) => text !== undefined).map(keyOf);
  const key = `${state.prefix}endpoints/${name}`;
  let running: Promise<readonly Stoppable[]> | undefined;

  const deliver = async (message: PluginMessage): Promise<void> => {
    const { headers, body } = deliveryOf(message, keys, Date.now());
    const answer = await fetch(url, {
      method: 'POST',
      headers: { ...endpoint.headers, ...headers },
      body,
      timeoutMs: endpoint.timeoutMs,
    });
    if (answer.ok) return;
    if (answer.status === 410) await state.set(key, { gone: url, at: new Date().toISOString() });
    throw new Error(`${name} answered ${answer.status}`);
  };

  const start = (): Promise<readonly Stoppable[]> =>
    Promise.all(
      endpoint.topics.map((topic) =>
        messageBus.subscribe(topic, deliver, {
          durable: `${name}-${shortHash(topic)}`,
          maxDeliver: endpoint.maxDeliver,
          backoffMs: endpoint.backoffMs,
          maxInFlight: endpoint.maxInFlight,
        }),
      ),
    );

  const stop = async (): Promise<void> => {
    const stopped = running;
    running = undefined;
    for (const subscription of (await stopped) ?? []) await subscription.stop();
  };

  await state.watch(key, async ({ value, deleted }) => {
    if (goneUrl(deleted ? null : value) === url) {
      log.warn('an endpoint is gone: nothing is delivered to it until its key is deleted', { name, key });
      await stop();
    } else if (running === undefined) {
      running = start();
      await running;
    }
  });
  const entry = await state.get(key);
  if (goneUrl(entry?.value) === url) {
    log.warn('an endpoint is gone: nothing is delivered to it until its key is deleted', { name, key });
    return;
  }
  running ??= start();
  await running;
};
