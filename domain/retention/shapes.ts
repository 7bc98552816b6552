import type { EventShape } from '../catalog.ts';
import { type LogEvent, parsePosition, streamId } from '../event.ts';
import { type TrimmedEvent, trimIdOfKey } from './trims.ts';

type Data = Readonly<Record<string, unknown>>;

const placeFault = ({ before, position }: Data): string | undefined => {
  if (!Number.isSafeInteger(before) || Number(before) < 1) return 'before';
  return typeof position === 'string' && parsePosition(position) !== undefined ? undefined : 'position';
};

const standsIn = ({ stream }: LogEvent, trimId: string): boolean => stream === streamId('trim', trimId);

export const trimShapes: { readonly [Type in TrimmedEvent['type']]: EventShape } = {
  TopicTrimmed: {
    category: 'trim',
    fault: (data, event) =>
      typeof data.topic === 'string' && standsIn(event, data.topic) ? placeFault(data) : 'topic',
  },
  StateTrimmed: {
    category: 'trim',
    fault: (data, event) =>
      typeof data.key === 'string' && standsIn(event, trimIdOfKey(data.key)) ? placeFault(data) : 'key',
  },
};
