import test from 'ava';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { listen } from '../registry/support.ts';
import { openHub } from '../support/hub.ts';
import { openWs } from '../support/ws-client.ts';
import { call } from './client.ts';

const hub = await openHub();
test.after.always(() => hub.close());

type Change = {
  readonly change: string;
  readonly position: string;
  readonly service: {
    readonly id: string;
    readonly name: string;
    readonly status: string;
    readonly weight: number;
    readonly circuit: { readonly openings: number } | null;
  };
};

const brief = ({ change, position, service }: Change): object => ({
  change,
  position,
  name: service.name,
  status: service.status,
  weight: service.weight,
  openings: service.circuit?.openings ?? 0,
});

const leaves = ({ service }: Change): boolean => service.name === 'left';

/** What a WebSocket is told behind `after`, until the instance leaves the name. */
const overWebSocket = async (after: string): Promise<readonly Change[]> => {
  const client = await openWs(hub.url);
  await client.ask({ type: 'watchServices', name: 'watched', after });
  const changes: Change[] = [];
  do changes.push((await client.waitForType('service')) as unknown as Change);
  while (!changes.some(leaves));
  await client.close();
  return changes;
};

const overGraphql = async (after: string): Promise<readonly Change[]> => {
  const client = createClient({
    url: `${hub.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
  });
  const query = `subscription { serviceChanged(name: "watched", after: "${after}") {
    change position service { id name status weight circuit { openings } }
  } }`;
  const changes: Change[] = [];
  for await (const { data } of client.iterate<{ readonly serviceChanged: Change }>({ query })) {
    if (data) changes.push(data.serviceChanged);
    if (changes.some(leaves)) break;
  }
  await client.dispose();
  return changes;
};

const changeNames: Readonly<Record<string, string>> = {
  ServiceRegistered: 'registered',
  ServiceUpdated: 'updated',
  ServiceStatusChanged: 'status',
  CircuitOpened: 'circuit',
  CircuitClosed: 'circuit',
};

test('a watch of services › tells every change from any position on, circuits and a new name too, once and in order', async (t) => {
  const broken = await listen((_request, response) => {
    response.statusCode = 500;
    response.end();
  });
  t.teardown(() => broken.close());
  const live = await openWs(hub.url);
  t.teardown(() => live.close());
  await live.ask({ type: 'watchServices', name: 'watched' });
  const input = { id: 'watched-1', name: 'watched', version: '1.0.0', host: '127.0.0.1', port: broken.port };
  const patch = (json: object) => call(hub.url, 'PATCH', '/services/watched-1', { json });
  t.is((await call(hub.url, 'POST', '/services', { json: input })).status, 201);
  await call(hub.url, 'POST', '/services', { json: { ...input, id: 'other-1', name: 'other' } });
  await patch({ weight: 2 });
  await patch({ status: 'draining', reason: 'deploy' });
  await patch({ status: 'healthy' });
  const isOpen = live.waitForMessage(({ change }) => change === 'circuit', 'a circuit that opens');
  for (let failed = 0; failed < 5; failed++)
    await call(hub.url, 'POST', '/services/watched/invoke', { json: { method: 'fail' } });
  await isOpen;
  await patch({ name: 'left' });
  await patch({ weight: 3 });

  const all = await overWebSocket('start');
  const stream = await call(hub.url, 'GET', '/streams/service-watched-1');
  const { events } = stream.body as { events: { type: string; position: string; data: object }[] };
  const end = events.findIndex(({ data }) => JSON.stringify(data).includes('"left"'));
  t.deepEqual(
    all.map(({ change, position }) => [change, position]),
    events.slice(0, end + 1).map(({ type, position }) => [changeNames[type], position]),
  );
  t.true(all.some(({ change, service }) => change === 'circuit' && service.circuit?.openings === 1));
  t.deepEqual(brief(all[1] as Change), {
    change: 'updated',
    position: all[1]?.position,
    name: 'watched',
    status: 'healthy',
    weight: 2,
    openings: 0,
  });
  t.deepEqual((await overGraphql('start')).map(brief), all.map(brief));
  for (const [index, { position }] of all.slice(0, -1).entries()) {
    const rest = all.slice(index + 1).map(brief);
    t.deepEqual((await overWebSocket(position)).map(brief), rest);
    t.deepEqual((await overGraphql(position)).map(brief), rest);
  }
});
