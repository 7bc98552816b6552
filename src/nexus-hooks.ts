import type { Result } from './errors.ts';

/** A request that was let in, as plugins are asked about it. */
export type HookedRequest = {
  readonly method: string;
  /** As it was written, without the query. */
  readonly path: string;
  /** Without the question mark. */
  readonly query: string;
  /** By lower-case name, without those that hold secrets. */
  readonly headers: Readonly<Record<string, string>>;
  readonly subject: string;
  readonly address: string;
};

/** Header fields for the answer, by lower-case name. */
export type HookedFields = Readonly<Record<string, string>>;

/** What hosts that take requests ask plugins. */
export type HookApi = {
  readonly requestHooks: {
    /** Undefined while no plugin asks to be asked. */
    readonly ask: ((request: HookedRequest) => Promise<Result<HookedFields>>) | undefined;
  };
};
