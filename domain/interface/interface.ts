import type { Json } from '../event.ts';
import type { Methods } from '../service/policy.ts';

/** What callers of a method rely on: of its registration only this. */
export type Signature = {
  /** JSON Schema of what it takes; absent: it takes anything. */
  readonly input?: Json;
  /** JSON Schema of what it answers; absent: it promises nothing. */
  readonly output?: Json;
  /** Only ever true: a method that is not idempotent does not say so. */
  readonly idempotent?: true;
};
export type Signatures = { readonly [method: string]: Signature };

/** The newest declared interface of one major version. */
export type DeclaredInterface = {
  /** `1`; `0.3` of 0.x and `0.0.3` of 0.0.x, where each of these may break (semver 2.0.0, item 4). */
  readonly major: string;
  /** Semver: of the registration that declared it. */
  readonly version: string;
  readonly methods: Signatures;
};

/** Why a change is incompatible, at one place of one method. */
export type Difference = {
  readonly method: string;
  /** JSON pointer (RFC 6901) into the method: `/input/properties/amount/type`; empty for the method itself. */
  readonly pointer: string;
  /** What stands there in the one that others rely on; null for nothing. Long values are cut. */
  readonly was: Json;
  readonly is: Json;
  readonly why: string;
};

export type InterfaceEvent =
  | { readonly type: 'InterfaceDeclared'; readonly data: DeclaredInterface }
  | {
      readonly type: 'InterfaceRetired';
      readonly data: { readonly major: string; readonly reason: string };
    };

export type InterfaceCommand =
  /** A registration of this version says that it has these methods. */
  | { readonly type: 'DeclareInterface'; readonly version: string; readonly methods: Methods }
  | { readonly type: 'RetireInterface'; readonly major: string; readonly reason: string };

export type InterfaceRejection =
  | {
      readonly code: 'breaking_change';
      readonly major: string;
      readonly declared: string;
      readonly differences: readonly Difference[];
    }
  | { readonly code: 'too_many'; readonly max: number }
  | { readonly code: 'bad_version' }
  | { readonly code: 'not_found' };

/** By the order in which they were first declared. */
export type InterfaceState = { readonly majors: readonly DeclaredInterface[] };
