import {
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  verify as verifySignature,
} from 'node:crypto';
import { type StreamId, streamId } from '../../../domain/event.ts';
import { BoundedMap } from '../../bounded-map.ts';
import { newId } from '../../ids.ts';
import type { EventLog } from '../../log/event-log.ts';

/**
 * What makes a reply address unguessable, and lets other nodes know a true one (docs/adr/0021-request-and-reply.md). On
 * a log of one node nobody else has to: there it is 128 random bits. On a shared log it is an Ed25519 signature
 * (RFC 8032) by a key that this process makes; its public half stands in the log before the first address can come back.
 */
export type Seals = {
  seal(claims: string): string;
  /**
   * Resolves once other nodes can verify what this one seals. The first call hands an event to the log before it returns.
   *
   * @throws {LogError} when the log cannot take it; the next call tries again.
   */
  announce(): Promise<void>;
  /**
   * True when `node` has sealed these claims since its last announcement. At once while the node's key is known, which
   * it is but for the first time and for what is forged; then the log is read.
   *
   * @throws {LogError} from the log.
   */
  verify(node: string, claims: string, seal: string): boolean | Promise<boolean>;
};

const sealBytes = 16;
/** Nodes whose keys are kept at hand. */
const maxKeys = 1_000;
const announced = 'ReplyKeyAnnounced';
const keyForm = /^[A-Za-z0-9_-]{43}$/;

/** A stream of its own, so that the newest event is the key, whatever else a node records. */
const keyStream = (node: string): StreamId => streamId('node', `${node}/replies`);

export const createSeals = (log: EventLog, node: string): Seals =>
  log.kind === 'embedded' ? createRandomSeals() : createSignedSeals(log, node);

const createRandomSeals = (): Seals => ({
  seal: () => randomBytes(sealBytes).toString('base64url'),
  announce: async () => {},
  verify: () => false,
});

type Known = { readonly text: string; readonly key: KeyObject };

const createSignedSeals = (log: EventLog, node: string): Seals => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const keys = new BoundedMap<string, Known>(maxKeys);
  let announcing: Promise<void> | undefined;
  const id = newId();

  const announce = async (): Promise<void> => {
    const metadata = { actor: 'system', correlationId: id, causationId: null, node, schema: 1 };
    const event = { id, type: announced, data: { key: publicKey.export({ format: 'jwk' }).x }, metadata };
    await log.append(keyStream(node), [event], 'any');
  };

  const isSealed = (key: KeyObject, claims: string, seal: string): boolean =>
    verifySignature(null, Buffer.from(claims), key, Buffer.from(seal, 'base64url'));

  /** The key that the node has announced last. The same key is the same object. */
  const newestKey = async (of: string): Promise<Known | undefined> => {
    const [event] = await log.readStream(keyStream(of), { direction: 'backwards', limit: 1 });
    const text = event?.type === announced ? keyTextOf(event.data) : undefined;
    const known = keys.get(of);
    if (text === undefined || text === known?.text) return known;
    const newest = {
      text,
      key: createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: text }, format: 'jwk' }),
    };
    keys.set(of, newest);
    return newest;
  };

  return {
    seal: (claims) => sign(null, Buffer.from(claims), privateKey).toString('base64url'),
    announce: () => {
      announcing ??= announce().catch((error: unknown) => {
        announcing = undefined;
        throw error;
      });
      return announcing;
    },
    verify: (of, claims, seal) => {
      const known = keys.get(of);
      if (known !== undefined && isSealed(known.key, claims, seal)) return true;
      // A seal that the known key has not made is looked at again under another key alone.
      return newestKey(of).then(
        (newest) => newest !== undefined && newest !== known && isSealed(newest.key, claims, seal),
      );
    },
  };
};

const keyTextOf = (data: unknown): string | undefined => {
  if (typeof data !== 'object' || data === null || !('key' in data)) return undefined;
  return typeof data.key === 'string' && keyForm.test(data.key) ? data.key : undefined;
};
