import { accept, type Decider, unreachable } from '../decider.ts';
import type { MessageCommand, MessageEvent, MessageRejection, MessageState } from './message.ts';

/** One topic: the stream `topic-{topic}`. It takes every well-formed message; `messages` counts those ever published. */
export const messageDecider: Decider<MessageState, MessageCommand, MessageEvent, MessageRejection> = {
  initial: { messages: 0 },

  decide({ type, ...data }) {
    switch (type) {
      case 'PublishMessage':
        return accept({ type: 'MessagePublished', data });
      default:
        return unreachable(type);
    }
  },

  evolve(_state, event, recorded) {
    switch (event.type) {
      case 'MessagePublished':
        // The revision counts what retention has taken, too.
        return { messages: recorded.revision + 1 };
      default:
        return unreachable(event.type);
    }
  },
};
