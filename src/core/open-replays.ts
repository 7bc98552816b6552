import { asPosition } from '../../domain/event.ts';
import type { ReplayDocument, SubscriptionDocument } from '../../projections/documents.ts';
import { replayKey, replaysOf } from '../../projections/replays.ts';
import { readCheckpoint } from '../bus/subscription/local.ts';
import { parseReplayCursor, type ReplayCursor } from '../bus/subscription/replay-cursor.ts';
import type { ReplayView } from '../nexus-replays.ts';
import type { Parts } from './parts.ts';

/** Replays of one subscription that may wait at a time. */
export const maxOpenReplays = 100;

export type OpenReplay = ReplayView & { readonly request: number };

const cursorOf = async (
  { log }: Pick<Parts, 'log'>,
  document: SubscriptionDocument,
): Promise<ReplayCursor> => {
  const { state } = await readCheckpoint(log, document);
  if (state === undefined) return { request: Number(document.created), progress: undefined };
  return parseReplayCursor(state.replay.cursor);
};

/**
 * The replays of a subscription that are not over, in the order in which they are carried out, and how far they are: as the
 * subscription's newest checkpoint tells it, so that every node can answer.
 */
export const openReplays = async (
  parts: Pick<Parts, 'log' | 'runner'>,
  document: SubscriptionDocument,
): Promise<readonly OpenReplay[]> => {
  const { name, fromAt } = document;
  const { request, progress } = await cursorOf(parts, document);
  const open: OpenReplay[] = [];
  const prefix = replaysOf(name);
  const range = request === 0 ? { prefix } : { prefix, after: replayKey(name, request - 1) };
  for (const [, replay] of parts.runner.store.range<ReplayDocument>('replays', range)) {
    // Those of before a reset are over.
    if (replay.position < fromAt) continue;
    const reached = replay.revision === request ? progress : undefined;
    open.push({
      replayId: replay.replayId,
      topic: replay.topic,
      from: asPosition(replay.from),
      to: asPosition(replay.to),
      speed: replay.speed,
      requestedAt: replay.requestedAt,
      requestedBy: replay.requestedBy,
      status: reached === undefined ? 'waiting' : 'running',
      position: reached?.position ?? asPosition(replay.from),
      messages: reached?.messages ?? 0,
      request: Number(replay.revision),
    });
    if (open.length === maxOpenReplays) break;
  }
  return open;
};
