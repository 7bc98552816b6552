import test from 'ava';
import { openHub } from '../support/hub.ts';
import { openResponder } from '../support/responder.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs } from '../support/ws-client.ts';

const bearer = (subject: string, scope: string) => ({ authorization: `Bearer ${signToken(subject, scope)}` });

test('an asker that does not read › costs the hub 8 MiB, and is told of each reply beyond', async (t) => {
  const hub = await openHub({ wsFramesPerSec: 0 });
  t.teardown(hub.close);
  const responder = await openResponder(hub.url, 'large');
  const ws = await openWs(hub.url);
  const many = 32;
  for (let n = 0; n < many; n++)
    ws.send({ type: 'request', topic: 'large', payload: n, timeoutMs: 300_000, id: n });
  const asked = [];
  while (asked.length < many) asked.push(await responder.next());
  ws.socket.pause();
  const payload = 'x'.repeat(900_000);
  for (const { replyTo } of asked) {
    const answer = await responder.ws.ask({ type: 'reply', replyTo, payload });
    t.is(answer.type, 'published', JSON.stringify(answer));
  }
  ws.socket.resume();
  const ids = new Set<unknown>();
  let overloaded = 0;
  while (ids.size < many) {
    const frame = await ws.waitForMessage(() => true);
    ids.add(frame.id);
    if (frame.type === 'error') {
      t.is(frame.code, 'overloaded');
      overloaded++;
    } else t.is(frame.payload, payload);
  }
  t.true(overloaded > 0 && overloaded < many - 8, String(overloaded));
  await Promise.all([ws.close(), responder.ws.close()]);
});

test('a flood of requests › 2,000 of one subject wait, 10,000 in all; beyond that each is refused and not written', async (t) => {
  const hub = await openHub({ jwtSecret, wsFramesPerSec: 0 });
  t.teardown(hub.close);
  const names = ['a', 'b', 'c', 'd', 'e'];
  const floods = await Promise.all(
    names.map((name) => openWs(hub.url, { headers: bearer(name, 'events:publish:flood') })),
  );
  const each = 2_000;
  const request = { type: 'request', topic: 'flood', payload: 1, timeoutMs: 300_000 };
  for (const ws of floods) {
    for (let n = 0; n < each; n++) ws.send({ ...request, id: n });
    t.like(await ws.ask({ type: 'ping' }), { type: 'pong' });
  }
  const [first] = floods;
  t.like(await first?.ask(request), { type: 'error', code: 'overloaded' });
  const late = await openWs(hub.url, { headers: bearer('late', 'events:publish:flood') });
  t.like(await late.ask(request), { type: 'error', code: 'overloaded' });
  for (const ws of floods.slice(1)) await ws.close();
  // Those of the closed sockets are dropped one by one once the hub has noticed.
  let refused = await first?.ask(request);
  while (refused?.code === 'overloaded') refused = await first?.ask(request);
  t.like(refused, { type: 'error', code: 'rate_limited' });
  late.send({ ...request, timeoutMs: 1, id: 'last' });
  t.like(await late.waitForMessage(({ id }) => id === 'last'), { code: 'no_reply' });
  await first?.close();
  await late.close();
  const reader = await openWs(hub.url, { headers: bearer('reader', 'events:read:flood') });
  await reader.ask({ type: 'subscribe', topic: 'flood', after: 'start' });
  let written = 0;
  for (let frame = await reader.waitForMessage(() => true); frame.type === 'message'; written++)
    frame = await reader.waitForMessage(() => true);
  t.is(written, each * names.length + 1);
  await reader.close();
});
