/**
 * Scopes as the token carries them (docs/protocol.md): what a subject may do, as data.
 * Patterns are compared by containment, never by regular expression.
 */
export type Subject = {
  readonly id: string;
  readonly scopes: readonly string[];
};

/** What an operation needs. `topic` may be a pattern: then the granted pattern must contain it. */
export type Requirement =
  | { readonly scope: 'services:read' | 'services:write' | 'log:read' | 'plugins:admin' | 'admin' }
  | { readonly scope: 'services:invoke'; readonly service: string }
  | { readonly scope: 'events:publish' | 'events:read'; readonly topic: string }
  | { readonly scope: 'state:read' | 'state:write'; readonly key: string }
  /** A whole prefix: the granted prefix must contain it. */
  | { readonly scope: 'state:read'; readonly prefix: string };
