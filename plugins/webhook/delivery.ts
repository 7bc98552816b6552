import type { Json, PluginMessage } from 'nexus-integration-core/plugin';
import { fromBase64, toBase64, utf8 } from './bytes.ts';
import { hmacSha256 } from './hmac-sha256.ts';

/** Of Standard Webhooks (standardwebhooks.com): what is sent for a message. */
export type Delivery = { readonly headers: Readonly<Record<string, string>>; readonly body: string };

/** @param secret `whsec_` and base64, or any text, whose UTF-8 is the key. */
export const keyOf = (secret: string): Uint8Array => {
  const encoded = /^whsec_(.+)$/.exec(secret)?.[1];
  if (encoded === undefined) return utf8(secret);
  const key = fromBase64(encoded);
  if (key === undefined) throw new Error('a secret that begins with whsec_ goes on in base64');
  return key;
};

export const bodyOf = ({ topic, publishedAt, payload }: PluginMessage): string => {
  const body: Json = { type: topic, timestamp: publishedAt, data: payload };
  return JSON.stringify(body);
};

/**
 * The id is the message's in every attempt, so that a receiver knows a repetition; the time is that of the attempt.
 *
 * @param keys each signs: a receiver that knows the new secret, or still the old one, finds its own.
 */
export const deliveryOf = (message: PluginMessage, keys: readonly Uint8Array[], nowMs: number): Delivery => {
  const body = bodyOf(message);
  const timestamp = String(Math.floor(nowMs / 1_000));
  const signed = utf8(`${message.messageId}.${timestamp}.${body}`);
  return {
    headers: {
      'content-type': 'application/json',
      'webhook-id': message.messageId,
      'webhook-timestamp': timestamp,
      'webhook-signature': keys.map((key) => `v1,${toBase64(hmacSha256(key, signed))}`).join(' '),
    },
    body,
  };
};
