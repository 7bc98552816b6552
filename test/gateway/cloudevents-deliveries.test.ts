import test from 'ava';
import { CloudEvent, HTTP } from 'cloudevents';
import { makeGroup } from '../support/groups.ts';
import { openHub } from '../support/hub.ts';

const hub = await openHub();
test.after.always(() => hub.close());

test('deliveries are CloudEvents to whoever asks for them, and are settled by an attribute of theirs', async (t) => {
  const group = await makeGroup(hub.url);
  const sent = HTTP.structured(
    new CloudEvent({ source: '/shop', type: 'order.created', id: 'o-1', data: { order: 7 } }),
  );
  const published = await fetch(`${hub.url}/events/${group.topic}`, {
    method: 'POST',
    headers: sent.headers as Record<string, string>,
    body: String(sent.body),
  });
  t.is(published.status, 201);
  const answer = await fetch(`${hub.url}/subscriptions/${group.name}/pull`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/cloudevents-batch+json' },
    body: JSON.stringify({ waitMs: 60_000 }),
  });
  t.is(answer.headers.get('content-type'), 'application/cloudevents-batch+json');
  const events = HTTP.toEvent({
    headers: { 'content-type': 'application/cloudevents-batch+json' },
    body: await answer.text(),
  });
  if (!Array.isArray(events)) throw new Error('no batch');
  const [event] = events;
  t.like(event, { id: 'o-1', source: '/shop', type: 'order.created', data: { order: 7 }, nexusattempt: 1 });
  const acked = await group.call('POST', '/ack', { deliveries: [event?.nexusdelivery] });
  t.like(acked.body, { done: 1, refused: [] });
});
