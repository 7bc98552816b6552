import { request } from 'node:http';
import { openWs } from './ws-client.ts';

/** A change of a state key as every protocol tells it. */
export type Change = {
  readonly key: string;
  readonly value: unknown;
  readonly oldValue: unknown;
  readonly version: number;
  readonly deleted: boolean;
  readonly position: string;
};

/**
 * Watches the keys below `prefix` behind `after` until `take` says false, which destroys the socket where it stands, or
 * the connection ends. Rejects when there is no hub to connect to.
 */
export type Watcher = (
  url: string,
  prefix: string,
  after: string,
  take: (change: Change) => boolean,
) => Promise<void>;

const changeOf = ({ key, value, oldValue, version, deleted, position }: Change): Change => ({
  key,
  value,
  oldValue,
  version,
  deleted,
  position,
});

const byWebSocket: Watcher = async (url, prefix, after, take) => {
  const ws = await openWs(url);
  let open = true;
  ws.onFrame((frame) => {
    if (!open || frame.type !== 'state') return;
    open = take(changeOf(frame as unknown as Change));
    if (!open) ws.socket.terminate();
  });
  ws.send({ type: 'watch', prefix, after });
  await ws.closed;
};

const document =
  'subscription ($prefix: String, $after: String) { stateChanged(prefix: $prefix, after: $after) { key value oldValue version deleted position } }';

const byGraphql: Watcher = async (url, prefix, after, take) => {
  const ws = await openWs(url, { path: '/graphql', protocols: ['graphql-transport-ws'] });
  let open = true;
  ws.onFrame(({ type, payload }) => {
    if (type === 'connection_ack')
      ws.send({ id: 'w', type: 'subscribe', payload: { query: document, variables: { prefix, after } } });
    if (!open || type !== 'next') return;
    open = take(
      changeOf((payload as { readonly data: { readonly stateChanged: Change } }).data.stateChanged),
    );
    if (!open) ws.socket.terminate();
  });
  ws.send({ type: 'connection_init' });
  await ws.closed;
};

const byServerSentEvents: Watcher = (url, prefix, after, take) =>
  new Promise((resolve, reject) => {
    const headers = {
      accept: 'text/event-stream',
      ...(after === 'start' ? {} : { 'last-event-id': after }),
    };
    // As EventSource does: the URL stays that of the first connection, and what was seen goes with the header.
    const path = `/state?prefix=${encodeURIComponent(prefix)}&after=start`;
    const asked = request(`${url}${path}`, { headers, agent: false }, (response) => {
      let text = '';
      let open = true;
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        for (let end = text.indexOf('\n\n'); open && end >= 0; end = text.indexOf('\n\n')) {
          const lines = text.slice(0, end).split('\n');
          text = text.slice(end + 2);
          const data = lines.find((line) => line.startsWith('data: '))?.slice(6);
          if (data === undefined || lines.some((line) => line.startsWith('event: '))) continue;
          open = take(changeOf(JSON.parse(data) as Change));
        }
        if (!open) asked.destroy();
      });
      // A connection that breaks is what is tested.
      response.on('error', () => undefined);
      response.on('close', resolve);
    });
    asked.on('error', reject);
    asked.end();
  });

export const watchers: Readonly<Record<string, Watcher>> = {
  WebSocket: byWebSocket,
  'server-sent events': byServerSentEvents,
  'GraphQL subscription': byGraphql,
};
