import test from 'ava';
import { messageDecider } from '../../../domain/message/decider.ts';
import type { MessageCommand, MessageEvent } from '../../../domain/message/message.ts';
import { by, given } from '../../support/given.ts';

const data: MessageEvent['data'] = {
  messageId: 'm-1',
  topic: 'orders.created',
  payload: { id: 1 },
  priority: 'HIGH',
  key: 'customer-7',
  headers: { traceparent: '00-1' },
};
const publish: MessageCommand = { type: 'PublishMessage', ...data };
const published: MessageEvent = { type: 'MessagePublished', data };

test('publish › records the message as it was given', (t) => {
  given(t, messageDecider).when(publish).thenEvents(published);
});

test('publish › never depends on what was published before', (t) => {
  given(t, messageDecider, by('ann', published)).when(publish).thenEvents(published);
  given(t, messageDecider, by('ann', published), by('bob', published)).thenState({ messages: 2 });
});
