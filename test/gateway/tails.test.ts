import { createServer, request as httpRequest, type ServerResponse } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import Koa from 'koa';
import { asPosition } from '../../domain/event.ts';
import { ok } from '../../src/errors.ts';
import { createSink } from '../../src/gateway/back-pressure.ts';
import type { RequestState } from '../../src/gateway/context.ts';
import { createTails, messageFrames, type TailOptions } from '../../src/gateway/tails.ts';
import type { Message, Watched } from '../../src/nexus-core.ts';
import { openEvents } from './client.ts';

const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const position = (index: number) => asPosition(index.toString(16).padStart(16, '0'));
const message = (index: number, payload = 'x'): Message => ({
  messageId: `m${index}`,
  topic: 't',
  payload,
  priority: 'NORMAL',
  headers: {},
  publishedAt: '2030-01-01T00:00:00.000Z',
  publisher: 'p',
  position: position(index),
});

/** A server whose every request is a live tail of what `items` yields. */
const serveTails = async (
  t: ExecutionContext,
  items: (signal: AbortSignal) => AsyncIterable<Watched<Message>>,
  options: Partial<TailOptions> = {},
): Promise<string> => {
  const tails = createTails({ logger, watch: () => () => {}, ...options });
  const app = new Koa<RequestState>();
  app.silent = true;
  app.use(async (ctx) => {
    ctx.state.subject = { id: 'a', scopes: [] };
    try {
      await tails.serve(
        ctx,
        (signal) => Promise.resolve(ok({ position: position(1), items: items(signal) })),
        messageFrames,
      );
    } catch {
      ctx.status = 503;
    }
  });
  const server = createServer(app.callback());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    tails.close();
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/`;
};

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

test('a gap › is an event of that name, never silence', async (t) => {
  const url = await serveTails(t, async function* () {
    yield { type: 'gap', from: position(2), to: position(9) };
    yield { type: 'items', items: [message(10)], position: position(10) };
  });
  const tail = await openEvents(url);
  const gap = await tail.next();
  t.is(gap?.event, 'gap');
  t.deepEqual(JSON.parse(gap?.data ?? ''), { from: position(2), to: position(9) });
  t.is((await tail.next())?.id, position(10));
  t.is(await tail.next(), undefined, 'the tail ends with what it is of');
});

test('a silent tail › says that it is alive', async (t) => {
  const url = await serveTails(
    t,
    async function* (signal) {
      yield { type: 'caughtUp', position: position(1) };
      await untilAborted(signal);
    },
    { heartbeatMs: 5 },
  );
  const response = await fetch(url);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (text.split(':\n\n').length < 4) text += (await reader?.read())?.value ?? '';
  await reader?.cancel();
  t.pass();
});

test('a reader that takes nothing › is fed nothing: what waits for it is bounded', async (t) => {
  let pulled = 0;
  let gone = (): void => {};
  const ended = new Promise<void>((resolve) => {
    gone = resolve;
  });
  const payload = 'x'.repeat(100_000);
  const url = await serveTails(t, async function* (signal) {
    try {
      while (!signal.aborted) {
        pulled++;
        yield { type: 'items', items: [message(pulled, payload)], position: position(pulled) };
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      gone();
    }
  });
  const slow = await new Promise<{ destroy(): void }>((resolve) => {
    const request = httpRequest(url, (response) => {
      response.once('readable', () => resolve(request));
      response.on('error', () => {});
    });
    request.on('error', () => {});
    request.end();
  });
  // As long as it is pulled at all, a turn of the loop pulls one: when many turns pull none, it has stopped.
  for (let still = 0, last = pulled; still < 1_000; last = pulled) {
    await new Promise((resolve) => setImmediate(resolve));
    still = pulled === last ? still + 1 : 0;
  }
  t.true(pulled < 200, `${pulled} messages of 100 kB were pulled for a reader that takes nothing`);
  slow.destroy();
  await ended;
});

test('a client that goes › lets the watch go', async (t) => {
  let released = (): void => {};
  const done = new Promise<void>((resolve) => {
    released = resolve;
  });
  const url = await serveTails(t, async function* (signal) {
    yield { type: 'caughtUp', position: position(1) };
    await untilAborted(signal);
    released();
  });
  const tail = await openEvents(url);
  t.is((await tail.next())?.event, 'caughtUp');
  tail.close();
  await done;
  t.pass();
});

test('more tails than may be › are refused, until one ends', async (t) => {
  const url = await serveTails(
    t,
    async function* (signal) {
      yield { type: 'caughtUp', position: position(1) };
      await untilAborted(signal);
    },
    { maxTails: 1 },
  );
  const first = await openEvents(url);
  await first.next();
  t.is((await openEvents(url)).status, 503);
  first.close();
  for (;;) {
    const next = await openEvents(url);
    next.close();
    if (next.status === 200) break;
  }
  t.pass();
});

test('a watch that breaks › ends the tail, and the client comes back by itself', async (t) => {
  const url = await serveTails(t, async function* () {
    yield { type: 'caughtUp', position: position(1) };
    throw new Error('broken');
  });
  const tail = await openEvents(url);
  t.is((await tail.next())?.event, 'caughtUp');
  t.is(await tail.next(), undefined);
});

test('createSink › cuts a reader that takes nothing for its limit', async (t) => {
  let result: Promise<boolean> | undefined;
  const closed = new Promise<boolean>((resolve) => {
    const server = createServer((_request, response: ServerResponse) => {
      const sink = createSink(response, 50);
      const fill = async (): Promise<boolean> => {
        for (;;) if (!(await sink.write('x'.repeat(1_000_000)))) return false;
      };
      result = fill();
      response.once('close', () => resolve(true));
    });
    t.teardown(() => void server.close());
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      // Without a listener for its data, the answer is not read.
      const request = httpRequest({ port, host: '127.0.0.1' }, (response) => response.on('error', () => {}));
      request.on('error', () => {});
      request.end();
    });
  });
  t.true(await closed);
  t.false(await result);
});
