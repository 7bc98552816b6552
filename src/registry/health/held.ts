import { isDown } from '../../../domain/service/status.ts';
import type { ServiceDocument } from '../../../projections/documents.ts';
import { holdOf } from './hold.ts';
import type { Evidence } from './liveness.ts';
import { isGood } from './verdict.ts';

/**
 * The evidence with the hold that follows from it: good since when, and held until when. The same object when nothing is
 * new. Only what the log has as down is held: an operator's `healthy` ends a hold.
 */
export const withHold = (document: ServiceDocument, evidence: Evidence, nowMs: number): Evidence => {
  if (!isGood(document, evidence)) {
    return evidence.goodSinceMs === null && evidence.heldUntilMs === 0
      ? evidence
      : { ...evidence, goodSinceMs: null, heldUntilMs: 0, proven: false };
  }
  const goodSinceMs = evidence.goodSinceMs ?? nowMs;
  const hold = isDown(document.status) && !evidence.proven ? holdOf(document.falls, goodSinceMs) : undefined;
  const heldUntilMs = hold !== undefined && hold.untilMs > nowMs ? hold.untilMs : 0;
  return goodSinceMs === evidence.goodSinceMs && heldUntilMs === evidence.heldUntilMs
    ? evidence
    : { ...evidence, goodSinceMs, heldUntilMs };
};

/** It has stayed good for long enough, and is not held again before it was bad again. */
export const afterHold = (evidence: Evidence): Evidence => ({ ...evidence, heldUntilMs: 0, proven: true });
