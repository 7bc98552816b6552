/** Where the reply to one request goes, as its `nexus-reply-to` tells it. */
export type Address = {
  /** The node that waits. */
  readonly node: string;
  /** The request's messageId. */
  readonly requestId: string;
  /** Milliseconds since 1970, by the clock of that node. */
  readonly deadlineMs: number;
  readonly correlationId: string;
};

/** As long as a header's value may be. */
export const maxAddressLength = 4_096;

/** `CLAIMS.SEAL`, both base64url. @param seal proves that the node itself has made the claims. */
export const encodeAddress = (address: Address, seal: (claims: string) => string): string => {
  const { node, requestId, deadlineMs, correlationId } = address;
  const json = JSON.stringify([node, requestId, deadlineMs, correlationId]);
  const claims = Buffer.from(json).toString('base64url');
  return `${claims}.${seal(claims)}`;
};

export type SealedAddress = { readonly address: Address; readonly claims: string; readonly seal: string };

const form = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;
const nodeForm = /^[A-Za-z0-9_-]{1,128}$/;
const idForm = /^[0-9a-f-]{36}$/;

/** What an address claims, its seal unchecked; undefined for a text that is none. */
export const decodeAddress = (text: string): SealedAddress | undefined => {
  if (text.length > maxAddressLength) return undefined;
  const [, claims, seal] = form.exec(text) ?? [];
  if (claims === undefined || seal === undefined) return undefined;
  const value = parse(Buffer.from(claims, 'base64url').toString());
  if (!Array.isArray(value) || value.length !== 4) return undefined;
  const [node, requestId, deadlineMs, correlationId]: readonly unknown[] = value;
  if (typeof node !== 'string' || !nodeForm.test(node)) return undefined;
  if (typeof requestId !== 'string' || !idForm.test(requestId)) return undefined;
  if (typeof deadlineMs !== 'number' || typeof correlationId !== 'string') return undefined;
  return { address: { node, requestId, deadlineMs, correlationId }, claims, seal };
};

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};
