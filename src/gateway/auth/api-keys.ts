import { timingSafeEqual } from 'node:crypto';
import {
  type ApiKeyRecord,
  keyCredential,
  keyTextPrefix,
  parseApiKeyText,
} from '../../../domain/credentials.ts';
import { BoundedMap } from '../../bounded-map.ts';
import { fault, ok, problem, type Result } from '../../errors.ts';
import { digestOf } from '../../ids.ts';
import type { Credentials } from '../../nexus-credentials.ts';
import type { Admitted } from './access.ts';

export type ApiKeys = {
  /** Verifies a key, or answers from what was verified before and is still good. */
  verify(text: string): Result<Admitted>;
  /** The subject of a key that was verified before and is still good. */
  known(text: string): Admitted | undefined;
  /** Forgets the keys of these credentials, or all. */
  forget(names: ReadonlySet<string> | undefined): void;
};

/** True for what can only be an API key, good or not: a token has dots, and no such beginning. */
export const isApiKeyText = (text: string): boolean => text.startsWith(keyTextPrefix);

/** Verified keys that are remembered; the oldest goes first. */
const maxKnownKeys = 10_000;

// The same for whatever is wrong with it: who guesses learns nothing of which ids there are.
const unknownKey = fault(problem('unauthorized', 'The API key is not a good one'));
const expiredKey = fault(problem('unauthorized', 'The API key has expired'));

const isHashOf = (hash: string, secret: string): boolean => {
  const [kept, given] = [Buffer.from(hash), Buffer.from(digestOf(secret))];
  return kept.length === given.length && timingSafeEqual(kept, given);
};

const admittedOf = (id: string, { subject, scopes, expiresAt }: ApiKeyRecord): Admitted => ({
  id: subject,
  scopes,
  credential: keyCredential(id),
  ...(expiresAt === null ? {} : { expiresAt: Date.parse(expiresAt) }),
});

/** @param clock ms since 1970. */
export const createApiKeys = (credentials: Credentials, clock: () => number): ApiKeys => {
  const knownKeys = new BoundedMap<string, Admitted>(maxKnownKeys);

  // A time that is none is not in the future.
  const isOver = ({ expiresAt }: Admitted): boolean => expiresAt !== undefined && !(clock() < expiresAt);

  const known = (text: string): Admitted | undefined => {
    const subject = knownKeys.get(text);
    if (subject === undefined) return undefined;
    if (!isOver(subject)) return subject;
    knownKeys.delete(text);
    return undefined;
  };

  return {
    known,
    verify: (text) => {
      const before = known(text);
      if (before !== undefined) return ok(before);
      const parsed = parseApiKeyText(text);
      if (parsed === undefined) return unknownKey;
      const found = credentials.apiKey(parsed.id);
      if (!found.ok) return found;
      const record = found.value;
      if (record === undefined || !isHashOf(record.hash, parsed.secret)) return unknownKey;
      const subject = admittedOf(parsed.id, record);
      if (isOver(subject)) return expiredKey;
      knownKeys.set(text, subject);
      return ok(subject);
    },
    forget: (names) => {
      if (names === undefined) return knownKeys.clear();
      for (const [text, { credential }] of knownKeys)
        if (credential !== undefined && names.has(credential)) knownKeys.delete(text);
    },
  };
};
