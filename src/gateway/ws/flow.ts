import type { Problem } from '../../errors.ts';
import type { Consumer } from './consumer.ts';

/** What was begun for a client under the name of a subscription. */
export type Flow = {
  /** The frame that confirms it, but for `id` and `subscription`. */
  readonly confirmation: { readonly type: string } & Readonly<Record<string, unknown>>;
  readonly consumer?: Consumer;
  /** Writes what it brings until it ends. */
  run(): Promise<void>;
  /** Why it ended by itself; undefined when the client knows. */
  why(): Promise<Problem | undefined>;
};
