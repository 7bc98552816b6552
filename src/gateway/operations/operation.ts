/**
 * What the hub offers and what each of it needs, as data. The checks themselves stand in the core; a test holds the two
 * together (docs/adr/0044-who-may-do-what.md).
 */

/**
 * A scope as docs/access.md writes it: a word in capitals stands for what is asked for. `public` needs no token, `any` a
 * token with whatever scope, or none.
 */
export type Scope =
  | 'public'
  | 'any'
  | 'services:read'
  | 'services:write'
  | 'services:invoke:NAME'
  | 'events:publish:TOPIC'
  | 'events:read:TOPIC'
  /** Of the whole pattern that is asked for, or that the subscription is for. */
  | 'events:read:PATTERN'
  | 'events:publish:PATTERN'
  | 'events:read:>'
  | 'state:read:KEY'
  | 'state:read:PREFIX*'
  | 'state:read:*'
  | 'state:write:KEY'
  | 'log:read'
  | 'plugins:admin'
  | 'admin';

/** `or` will do in its place. `when`: only for what is asked for in this way. */
export type Need = { readonly scope: Scope; readonly or?: Scope; readonly when?: string };

/** Which budget of a client it counts for. */
export type Kind = 'read' | 'write' | 'invoke';

export type Operation = {
  readonly kind: Kind;
  /** Each one that applies must be met. `admin` meets them all. */
  readonly needs: readonly Need[];
  /** What else must hold, for all but an admin. */
  readonly besides?: string;
};

/** An operation that always needs the one scope. */
export const reading = (scope: Scope): Operation => ({ kind: 'read', needs: [{ scope }] });
export const writing = (scope: Scope): Operation => ({ kind: 'write', needs: [{ scope }] });
export const invoking = (scope: Scope): Operation => ({ kind: 'invoke', needs: [{ scope }] });

export const ownService = 'the service is the subject’s own';
export const ownDelivery = 'what the same connection was sent';
