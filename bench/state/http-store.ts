import { once } from 'node:events';
import { openSocket } from '../support/clients.ts';
import { createHttpClient } from '../support/http-client.ts';
import type { ClientTarget, Store } from './store.ts';

const pathOf = (key: string): string => `/state/${encodeURIComponent(key)}`;

/** All that a GET of the key gives. */
const document =
  'query Entry($key: String!) { state(key: $key) { key value version updatedAt updatedBy position } }';

type Entry = { readonly version: number; readonly value: unknown };
type Frame = {
  readonly type: string;
  readonly id?: number;
  readonly value?: unknown;
  readonly message?: string;
};

/** The hub, or the bare route, over HTTP; the hub is watched and filled over a WebSocket. */
export const openHttpStore = async ({ kind, url, token, connections }: ClientTarget): Promise<Store> => {
  const client = createHttpClient(
    url,
    connections,
    token === undefined ? '' : `Authorization: Bearer ${token}\r\n`,
  );
  const versions = new Map<string, number>();
  const ask = async (method: string, path: string, body?: string, fields?: string): Promise<string> => {
    const { status, text } = await client.request(method, path, body, fields);
    if (status > 201) throw new Error(`${method} ${path}: ${status} ${text}`);
    return text;
  };
  const entryOf = (text: string): Entry => JSON.parse(text);

  const hub = kind === 'nexus' ? await openSocket(url, token) : undefined;
  const waiting = new Map<number, PromiseWithResolvers<void>>();
  let onValue: (value: string) => void = () => {};
  let frames = 0;
  hub?.socket.on('message', (data: Buffer) => {
    const frame: Frame = JSON.parse(data.toString());
    if (frame.type === 'state') return onValue(JSON.stringify(frame.value));
    const waiter = waiting.get(frame.id ?? -1);
    waiting.delete(frame.id ?? -1);
    if (frame.type === 'error') waiter?.reject(new Error(frame.message));
    else waiter?.resolve();
  });
  const tell = (frame: string): Promise<void> => {
    const waiter = Promise.withResolvers<void>();
    waiting.set(++frames, waiter);
    hub?.send(`{"id":${frames},${frame}}`);
    return waiter.promise;
  };

  return {
    put: (key, value) => ask('PUT', pathOf(key), `{"value":${value}}`),
    async cas(key, value) {
      const text = await ask(
        'PUT',
        pathOf(key),
        `{"value":${value}}`,
        `If-Match: "${versions.get(key) ?? 0}"\r\n`,
      );
      versions.set(key, entryOf(text).version);
    },
    async learn(key) {
      versions.set(key, entryOf(await ask('GET', pathOf(key))).version);
    },
    get: async (key) => entryOf(await ask('GET', pathOf(key))).value,
    post: (topic, payload) => ask('POST', `/events/${topic}`, `{"payload":${payload}}`),
    query: async (key) => {
      const text = await ask('POST', '/graphql', JSON.stringify({ query: document, variables: { key } }));
      const { data }: { readonly data?: { readonly state?: Entry } } = JSON.parse(text);
      if (data?.state?.value === undefined) throw new Error(text);
      return data.state.value;
    },
    list: async (prefix) =>
      JSON.parse(await ask('GET', `/state?limit=100&prefix=${encodeURIComponent(prefix)}`)),
    fill: (entries) =>
      Promise.all(
        entries.map(([key, value]) =>
          hub === undefined
            ? ask('PUT', pathOf(key), `{"value":${value}}`)
            : tell(
                `"type":"command","command":{"type":"SetState","data":{"key":${JSON.stringify(key)},"value":${value}}}`,
              ),
        ),
      ),
    watch:
      hub === undefined
        ? undefined
        : async (key, listener) => {
            onValue = listener;
            await tell(`"type":"watch","key":${JSON.stringify(key)}`);
          },
    close: async () => {
      client.close();
      if (hub === undefined) return;
      const closed = once(hub.socket, 'close');
      hub.socket.close();
      await closed;
    },
  };
};
