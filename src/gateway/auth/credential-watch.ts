import type { ServerResponse } from 'node:http';
import { keyCredential } from '../../../domain/credentials.ts';
import { type Clock, systemClock } from '../../clock.ts';
import { type Problem, problem } from '../../errors.ts';
import type { Credentials } from '../../nexus-credentials.ts';
import type { Admitted } from './access.ts';

/** A request, of which the gate knows whose it is. */
export type Asker = { readonly res: ServerResponse; readonly state: { readonly subject: Admitted } };

/** Looks after what was let in for longer than one answer takes (docs/adr/0038-credentials.md). */
export type CredentialWatch = {
  /**
   * Calls `ended` once when what the subject was let in by has expired or is revoked, with why; also at once.
   *
   * @returns what stops it; to be called when what was let in is over.
   */
  watch(subject: Admitted, ended: (why: Problem) => void): () => void;
  /** Runs what makes an answer that may be long: it is cut when its credential is revoked, and not when it expires. */
  whileGood<Value>(asker: Asker, work: () => Promise<Value>): Promise<Value>;
  /** Follows revocations no more. */
  close(): void;
};

export type CredentialWatchOptions = {
  readonly credentials: Credentials;
  /** Called before whoever is concerned is told: what was verified of these, or of any, is known no more. */
  readonly forget: (names: ReadonlySet<string> | undefined) => void;
  readonly clock?: Clock;
};

const expired = problem('unauthorized', 'The token has expired');
const revoked = problem('unauthorized', 'The token was revoked');
const maxTimerMs = 86_400_000;

export const createCredentialWatch = (options: CredentialWatchOptions): CredentialWatch => {
  const { credentials, forget, clock = systemClock } = options;
  /** What runs, by its credential. */
  const running = new Map<string, Set<(why: Problem) => void>>();

  const isGone = (name: string): boolean => {
    const good = credentials.isGood(name);
    // What nobody knows at this moment is told once they do.
    return good.ok && !good.value;
  };

  const end = (name: string): void => {
    for (const ended of [...(running.get(name) ?? [])]) ended(revoked);
  };

  const unfollow = credentials.onChanged((names) => {
    forget(names);
    if (names === undefined) {
      for (const name of [...running.keys()]) if (isGone(name)) end(name);
      return;
    }
    // Of a key anything may have changed: who comes again is let in by what stands there.
    for (const name of names)
      if (running.has(name) && (name.startsWith(keyCredential('')) || isGone(name))) end(name);
  });

  const onRevoked = (name: string, ended: (why: Problem) => void): (() => void) => {
    const own = running.get(name) ?? new Set();
    running.set(name, own);
    own.add(ended);
    return () => {
      own.delete(ended);
      if (own.size === 0 && running.get(name) === own) running.delete(name);
    };
  };

  const onExpired = (expiresAt: number, ended: (why: Problem) => void): (() => void) => {
    let cancel = (): void => {};
    const check = (): void => {
      const leftMs = expiresAt - clock.now();
      // A timer holds 24 days at most, and the clock may be set meanwhile.
      if (leftMs <= 0) ended(expired);
      else cancel = clock.after(Math.min(leftMs, maxTimerMs), check);
    };
    check();
    return () => cancel();
  };

  const watch = (
    credential: string | undefined,
    expiresAt: number | undefined,
    ended: (why: Problem) => void,
  ): (() => void) => {
    const stops: (() => void)[] = [];
    let over = false;
    const stop = (): void => {
      over = true;
      for (const each of stops.splice(0)) each();
    };
    const endOnce = (why: Problem): void => {
      if (over) return;
      stop();
      ended(why);
    };
    if (credential !== undefined) {
      stops.push(onRevoked(credential, endOnce));
      // It may have been revoked since it was looked at.
      if (isGone(credential)) endOnce(revoked);
    }
    if (!over && expiresAt !== undefined) stops.push(onExpired(expiresAt, endOnce));
    if (over) stop();
    return stop;
  };

  return {
    watch: ({ credential, expiresAt }, ended) => watch(credential, expiresAt, ended),
    whileGood: async ({ res, state }, work) => {
      const stop = watch(state.subject.credential, undefined, () => res.destroy());
      try {
        return await work();
      } finally {
        stop();
      }
    },
    close: unfollow,
  };
};
