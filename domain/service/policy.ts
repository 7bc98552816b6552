import type { Json } from '../event.ts';

export const strategies = [
  'least-loaded',
  'round-robin',
  'weighted',
  'random',
  'consistent-hash',
  'latency',
  'sticky',
] as const;
/** How one of several instances is chosen (docs/registry.md). */
export type Strategy = (typeof strategies)[number];

/** How an instance that has a `healthCheckUrl` is checked. */
export type HealthCheck = {
  /** Between two checks, ± 10 %: 500 … 3,600,000. */
  readonly intervalMs: number;
  /** For one check: 50 … 60,000, at most `intervalMs`. */
  readonly timeoutMs: number;
  /** Good checks in a row that bring back an instance that was down: 1 … 100. */
  readonly healthyThreshold: number;
  /** Failed checks in a row that take an instance down: 1 … 100. */
  readonly unhealthyThreshold: number;
  /** So long after its registration failed checks do not count against an instance that starts: 0 … 3,600,000. */
  readonly graceMs: number;
};

/** How calls are spread over the instances of one name. Of instances that disagree the one that was registered or changed last decides. */
export type Balancing = {
  readonly strategy: Strategy;
  /** So long an instance that became healthy gets less than its share: 0 … 3,600. */
  readonly slowStartSec: number;
  /** Of a service's instances so many at most are kept from calls for what calls have shown: 0 … 100. */
  readonly maxEjectedPercent: number;
  /** With fewer fit instances than this those that are not quite fit are called too: 0 … 100. */
  readonly panicPercent: number;
  /** Calls of the service that run at one time, on each node: 1 … 100,000. */
  readonly maxInFlight: number;
};

/** What a service says of one of its methods. */
export type Method = {
  /** JSON Schema of `data`. */
  readonly input?: Json;
  /** JSON Schema of the result. */
  readonly output?: Json;
  /** A call may be repeated when nobody knows whether it has arrived. */
  readonly idempotent?: boolean;
  readonly strategy?: Strategy;
  readonly timeoutMs?: number;
};
export type Methods = { readonly [name: string]: Method };

/** `socket`: the instance is called over the WebSocket that it opened, and has no address. */
export type Reach = 'direct' | 'socket';

/** What a registration need not say: events hold it only where it differs from these defaults. */
export type ServicePolicy = {
  readonly healthCheck: HealthCheck;
  /** An instance that was offline or unhealthy for so long is deregistered: 10 … 31,536,000; null is never. */
  readonly removeAfterSec: number | null;
  readonly balancing: Balancing;
  readonly methods: Methods;
  readonly reach: Reach;
};

export const defaultPolicy: ServicePolicy = {
  healthCheck: {
    intervalMs: 10_000,
    timeoutMs: 2_000,
    healthyThreshold: 2,
    unhealthyThreshold: 3,
    graceMs: 10_000,
  },
  removeAfterSec: 259_200,
  balancing: {
    strategy: 'least-loaded',
    slowStartSec: 10,
    maxEjectedPercent: 50,
    panicPercent: 50,
    maxInFlight: 1_024,
  },
  methods: {},
  reach: 'direct',
};
