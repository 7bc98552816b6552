import { randomBytes } from 'node:crypto';
import { type NewEvent, type StreamId, streamId } from '../../domain/event.ts';
import { newId } from '../../src/ids.ts';

/** 1,000 streams of state keys, as `expected: 'any'` writers of many keys would use them. */
export const streams: readonly StreamId[] = Array.from({ length: 1_000 }, (_, index) =>
  streamId('state', `bench/${index}`),
);

export const streamOf = (index: number): StreamId =>
  streams[index % streams.length] ?? streamId('state', 'bench');

/** Text of random hex digits, so that nothing on the way can compress it. */
export const text = (bytes: number): string =>
  randomBytes(Math.ceil(bytes / 2))
    .toString('hex')
    .slice(0, bytes);

const filler = text(170);

/** A state event whose data is 200 bytes of JSON. */
export const stateEvent = (index: number): NewEvent => {
  const id = newId();
  return {
    id,
    type: 'StateSet',
    data: { value: { n: String(index).padStart(10, '0'), text: filler.slice(0, 165) } },
    metadata: { actor: 'bench', correlationId: id, causationId: null, node: 'bench', schema: 1 },
  };
};
