import type { IncomingMessage } from 'node:http';
import { ProblemError, problem } from '../../errors.ts';

/** The requests that the hub itself is working on. */
export type Work = {
  /** Those that wait for somebody else (see `rest`) apart. */
  inFlight: number;
};

type Part = { readonly work: Work; readonly room: number; counted: boolean };

const parts = new WeakMap<IncomingMessage, Part>();

/**
 * Counts `request` until `done` settles.
 *
 * @param room Requests in flight up to which it may be taken up again.
 */
export const countWork = (
  work: Work,
  room: number,
  request: IncomingMessage,
  done: () => Promise<void>,
): void => {
  const part: Part = { work, room, counted: true };
  parts.set(request, part);
  work.inFlight++;
  const end = (): void => {
    parts.delete(request);
    if (part.counted) work.inFlight--;
  };
  done().then(end, end);
};

/** From now on `request` waits for its client, for another one, or for a service: it is no work. */
export const rest = (request: IncomingMessage): void => {
  const part = parts.get(request);
  if (part === undefined || !part.counted) return;
  part.counted = false;
  part.work.inFlight--;
};

/**
 * What `request` waited for has come, and it is work again.
 *
 * @throws {ProblemError} `overloaded` when there is too much meanwhile and nothing was begun yet (`isNew`).
 */
export const resume = (request: IncomingMessage, isNew: boolean): void => {
  const part = parts.get(request);
  if (part === undefined || part.counted) return;
  const { work } = part;
  if (isNew && work.inFlight >= part.room) throw new ProblemError(problem('overloaded', tooMuch));
  part.counted = true;
  work.inFlight++;
};

export const tooMuch = 'The hub has more to do than it can';
