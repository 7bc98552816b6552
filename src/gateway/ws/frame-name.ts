import type { Frame, Selector } from './frame.ts';

const followNames = {
  messages: 'subscribe',
  group: 'subscribe',
  state: 'watch',
  events: 'tail',
  services: 'watchServices',
  replay: 'replay',
} as const satisfies Readonly<Record<Selector['kind'], string>>;

/** The `type` that the client sent, as docs/protocol.md has it. */
export const frameName = (frame: Frame): string => {
  switch (frame.type) {
    case 'follow':
      return followNames[frame.selector.kind];
    case 'settle':
      return frame.how;
    case 'answerCall':
      return frame.answer.ok ? 'callResult' : 'callFailed';
    default:
      return frame.type;
  }
};
