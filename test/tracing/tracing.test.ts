import { trace } from '@opentelemetry/api';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import test from 'ava';
import type { LogEvent } from '../../domain/event.ts';
import { createTracing } from '../../src/tracing/tracing.ts';
import { listen } from '../registry/support.ts';
import { openHub } from '../support/hub.ts';
import { request, until } from '../support/rest.ts';
import { openWs } from '../support/ws-client.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const parentId = '00f067aa0ba902b7';
const headers = { traceparent: `00-${traceId}-${parentId}-01`, tracestate: 'vendor=value' };

/** Opened before any provider is registered: it traces nothing. */
const plain = await openHub();
const exporter = new InMemorySpanExporter();
const withoutProvider = createTracing();
trace.setGlobalTracerProvider(
  new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
);
const hub = await openHub();
test.after.always(async () => {
  await plain.close();
  await hub.close();
});

const spansOf = (id: string): readonly ReadableSpan[] =>
  exporter.getFinishedSpans().filter((span) => span.spanContext().traceId === id);

/** The one span that fits, once it has ended. */
const spanOf = async (id: string, fits: (span: ReadableSpan) => boolean): Promise<ReadableSpan> => {
  const spans = await until(
    async () => spansOf(id).filter(fits),
    (found) => found.length > 0,
  );
  const [span] = spans;
  if (span === undefined || spans.length > 1) throw new Error(`${spans.length} spans`);
  return span;
};

const named = (name: string) => (span: ReadableSpan) => span.name === name;
const parentOf = (span: ReadableSpan) => span.parentSpanContext?.spanId;
const idOf = (span: ReadableSpan) => span.spanContext().spanId;

test('one trace › goes from the request to the append, to a subscriber, and to a durable consumer', async (t) => {
  await request(hub.url, 'PUT', '/subscriptions/traced', { body: { topic: 'traced.topic' } });
  const client = await openWs(hub.url);
  await client.ask({ type: 'subscribe', topic: 'traced.topic' });
  const body = { payload: 1 };
  t.is((await request(hub.url, 'POST', '/events/traced.topic', { body, headers })).status, 201);
  await client.waitForType('message');
  const { body: pulled } = await request(hub.url, 'POST', '/subscriptions/traced/pull', {
    body: { max: 1, waitMs: 10_000 },
  });
  t.is((pulled.deliveries as readonly unknown[]).length, 1);
  await client.close();

  const server = await spanOf(traceId, named('POST /events/{topic}'));
  t.is(parentOf(server), parentId);
  t.is(server.spanContext().traceState?.get('vendor'), 'value');
  t.like(server.attributes, {
    'http.request.method': 'POST',
    'http.route': '/events/{topic}',
    'http.response.status_code': 201,
  });
  const producer = await spanOf(traceId, named('publish'));
  t.is(parentOf(producer), idOf(server));
  t.is(producer.attributes['messaging.destination.name'], 'traced.topic');
  const append = await spanOf(traceId, named('append'));
  t.is(parentOf(append), idOf(producer));
  const watched = await spanOf(
    traceId,
    (span) => span.name === 'deliver' && span.attributes['nexus.delivery.attempt'] === undefined,
  );
  const delivered = await spanOf(traceId, (span) => span.attributes['nexus.delivery.attempt'] === 1);
  t.deepEqual([parentOf(watched), parentOf(delivered)], [idOf(producer), idOf(producer)]);
  t.is(delivered.attributes['messaging.destination.subscription.name'], 'traced');
  const { body: log } = await request(hub.url, 'GET', '/streams/topic-traced.topic');
  const [event] = log.events as readonly LogEvent[];
  t.is(event?.metadata.traceparent, `00-${traceId}-${idOf(producer)}-01`);
});

test('a call of a service › is a span, whose id the service is told', async (t) => {
  const own = '5bf92f3577b34da6a3ce929d0e0e4736';
  let told: string | undefined;
  const instance = await listen((asked, response) => {
    told = String(asked.headers.traceparent);
    asked.resume();
    response.end('1');
  });
  t.teardown(instance.close);
  const { port } = instance;
  const service = { id: 'traced', name: 'traced', version: '1.0.0', host: '127.0.0.1', port };
  t.is((await request(hub.url, 'POST', '/services', { body: service })).status, 201);
  const called = await request(hub.url, 'POST', '/services/traced/invoke', {
    body: { method: 'm' },
    headers: { traceparent: `00-${own}-${parentId}-01` },
  });
  t.is(called.status, 200);
  const span = await spanOf(own, named('invoke'));
  t.is(told, `00-${own}-${idOf(span)}-01`);
  t.is(span.attributes['rpc.service'], 'traced');
  t.is(parentOf(span), idOf(await spanOf(own, named('POST /services/{name}/invoke'))));
});

test('a refused command › ends its span with its code, and a trace that was not sampled stays so', async (t) => {
  const own = '6bf92f3577b34da6a3ce929d0e0e4736';
  const set = (flags: string, version: number) =>
    request(hub.url, 'PUT', '/state/traced', {
      body: { value: 1, expectedVersion: version },
      headers: { traceparent: `00-${own}-${parentId}-${flags}` },
    });
  t.is((await set('00', 0)).status, 201);
  t.is((await set('01', 7)).status, 409);
  const span = await spanOf(own, named('command SetState'));
  t.is(span.attributes['error.type'], 'version_conflict');
  t.deepEqual(
    spansOf(own)
      .map(({ name }) => name)
      .sort(),
    ['PUT /state/{key}', 'command SetState'],
  );
  const { body } = await request(hub.url, 'GET', '/streams/state-traced');
  t.regex(String((body.events as readonly LogEvent[])[0]?.metadata.traceparent), /-00$/);
});

test('without a provider › nothing is traced, and events carry what the client sent', async (t) => {
  t.is(withoutProvider, undefined);
  t.is(plain.core.tracing, undefined);
  const own = '7bf92f3577b34da6a3ce929d0e0e4736';
  const traceparent = `00-${own}-${parentId}-01`;
  await request(plain.url, 'PUT', '/state/k', { body: { value: 1 }, headers: { traceparent } });
  const { body } = await request(plain.url, 'GET', '/streams/state-k');
  t.is((body.events as readonly LogEvent[])[0]?.metadata.traceparent, traceparent);
  t.deepEqual(spansOf(own), []);
});
