import type { Json } from '../../../domain/event.ts';
import { fault, ok, type Result } from '../../errors.ts';
import { commandIdOf, idempotencyKeyRule, isIdempotencyKey, keyRefused } from '../idempotency.ts';
import { invalid } from './fields.ts';

/** All frames, over WebSocket and ZeroMQ, share one space of keys: a frame has no path. */
const place = ['frame'] as const;

/** The id of the command that a frame's key stands for. */
export const commandIdOfKey = (key: Json): Result<string> =>
  isIdempotencyKey(key) ? ok(commandIdOf(place, key)) : invalid('/idempotencyKey', idempotencyKeyRule);

/** Why a frame of this type takes no key. */
export const refuseFrameKey = (type: string) => fault(keyRefused(reasons[type] ?? 'this frame is none'));

const settled = 'a delivery is settled once, whatever comes again';
const reasons: Readonly<Record<string, string>> = Object.assign(Object.create(null), {
  request: 'what a service answers is not',
  reply: 'a request has one reply, which may be sent again as it is',
  heartbeat: 'a heartbeat is not recorded, and may be sent again as it is',
  ack: settled,
  nak: settled,
  term: settled,
  extend: settled,
});
