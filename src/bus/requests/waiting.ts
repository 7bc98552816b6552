import { BoundedMap } from '../../bounded-map.ts';
import type { Clock } from '../../clock.ts';
import { fault, ok, type Problem, problem, type Result } from '../../errors.ts';
import { idOf } from '../../ids.ts';
import type { Message } from '../../nexus-core.ts';
import type { Address } from './address.ts';

export type RequestLimits = {
  /** Requests that may wait at once. */
  readonly maxWaiting: number;
  /** Of one subject. */
  readonly maxWaitingPerSubject: number;
};

export const requestLimits: RequestLimits = { maxWaiting: 10_000, maxWaitingPerSubject: 2_000 };

/** Id of the one event that replies to a request: the log takes the first, and says of any other that it is there. */
export const replyIdOf = (requestId: string): string => idOf('reply', requestId);

/** How a wait ended: with the reply, or with what the requester is told instead. */
export type Ended = { readonly reply: Message } | { readonly problem: Problem };

export type Wait = {
  readonly ended: Promise<Ended>;
  /** Ends it with a problem; once it has ended, nothing. */
  end(why: Problem): void;
};

/** The requests of this node that wait for their reply. */
export type Waiting = {
  /** `overloaded` or `rate_limited` at a bound. */
  open(replyTo: string, address: Address, subject: string, timeoutMs: number): Result<Wait>;
  /** The request that this address was made for: one that waits, or was replied to lately (another try of that reply). */
  find(replyTo: string): Address | undefined;
  /** Ends the wait for the reply of that event id, if one waits. */
  settle(replyId: string, reply: Message): void;
  readonly size: number;
  endAll(why: Problem): void;
};

type Entry = { readonly address: Address; readonly replyTo: string; readonly end: (how: Ended) => void };

export const createWaiting = (clock: Pick<Clock, 'after'>, limits: RequestLimits): Waiting => {
  const byAddress = new Map<string, Entry>();
  const byReply = new Map<string, Entry>();
  const ofSubject = new Map<string, number>();
  const replied = new BoundedMap<string, Address>(limits.maxWaiting);

  const full = (subject: string): Problem | undefined => {
    if (byAddress.size >= limits.maxWaiting)
      return problem('overloaded', `${limits.maxWaiting} requests wait for a reply already`);
    if ((ofSubject.get(subject) ?? 0) >= limits.maxWaitingPerSubject) {
      const detail = `${limits.maxWaitingPerSubject} requests of this subject wait for a reply already`;
      return problem('rate_limited', detail, { retryAfterSec: 1 });
    }
    return undefined;
  };

  const release = (subject: string): void => {
    const left = (ofSubject.get(subject) ?? 0) - 1;
    if (left > 0) ofSubject.set(subject, left);
    else ofSubject.delete(subject);
  };

  return {
    open: (replyTo, address, subject, timeoutMs) => {
      const refused = full(subject);
      if (refused !== undefined) return fault(refused);
      const { promise: ended, resolve } = Promise.withResolvers<Ended>();
      const replyId = replyIdOf(address.requestId);
      const end = (how: Ended): void => {
        if (byReply.get(replyId) !== entry) return;
        cancel();
        byAddress.delete(replyTo);
        byReply.delete(replyId);
        release(subject);
        resolve(how);
      };
      const entry: Entry = { address, replyTo, end };
      byAddress.set(replyTo, entry);
      byReply.set(replyId, entry);
      ofSubject.set(subject, (ofSubject.get(subject) ?? 0) + 1);
      const cancel = clock.after(timeoutMs, () => {
        const { requestId } = address;
        end({
          problem: problem('no_reply', `nobody replied within ${timeoutMs} ms`, { requestId, timeoutMs }),
        });
      });
      return ok({ ended, end: (why) => end({ problem: why }) });
    },

    find: (replyTo) => byAddress.get(replyTo)?.address ?? replied.get(replyTo),

    settle: (replyId, reply) => {
      const entry = byReply.get(replyId);
      if (entry === undefined) return;
      replied.set(entry.replyTo, entry.address);
      entry.end({ reply });
    },

    get size() {
      return byAddress.size;
    },

    endAll: (why) => {
      for (const { end } of [...byReply.values()]) end({ problem: why });
    },
  };
};
