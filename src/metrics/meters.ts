import type { ErrorCode } from '../errors.ts';
import type { LogErrorCode } from '../log/event-log.ts';
import {
  appendBounds,
  Distribution,
  eventBounds,
  pluginBounds,
  requestBounds,
  Tally,
} from './instruments.ts';

/** One method of one route: its duration, and its answers by the first digit of their status. */
export type RouteMeter = { readonly duration: Distribution; readonly byClass: Float64Array };

export type CallKind = 'invoke' | 'proxy' | 'upgrade';
export type CallMeter = { readonly outcomes: Tally<'ok' | ErrorCode>; readonly duration: Distribution };

/** Of calls of plugins, by plugin; those behind the first 200 share one. */
export type PluginMeter = {
  called(plugin: string, durationSec: number): void;
  readonly durations: ReadonlyMap<string, Distribution>;
};

/** No name of a plugin, nor of a subscription. */
export const allOthers = '*';

export const callKinds = ['invoke', 'proxy', 'upgrade'] as const satisfies readonly CallKind[];

/** What one hub counts while it works. Whoever counts adds to a number; `GET /metrics` reads (src/metrics/families.ts). */
export type Meters = {
  readonly http: {
    /** Called once per request, when its answer was handed over. `route` is a template of the code's. */
    finished(route: string, method: string, status: number, durationSec: number): void;
    readonly routes: ReadonlyMap<string, ReadonlyMap<string, RouteMeter>>;
    /** Problems that requests and upgrades were answered with. */
    readonly problems: Tally<ErrorCode>;
    /** Live tails that are open now. */
    openTails: number;
  };
  /** Operations of the core that were refused or failed, whatever protocol they came by. */
  readonly refusals: Tally<ErrorCode>;
  readonly sockets: {
    /** By subprotocol. */
    readonly opened: Tally;
    readonly closed: Tally;
    /** Of /ws, by type. */
    readonly frames: Tally;
  };
  /** By type of operation. */
  readonly graphql: Tally<'query' | 'mutation' | 'subscription' | 'invalid'>;
  readonly zeromq: { readonly received: Tally; readonly sent: Tally<'message' | 'heartbeat' | 'log'> };
  readonly appends: {
    readonly duration: Distribution;
    readonly events: Distribution;
    readonly outcomes: Tally<'written' | 'duplicate' | 'conflict' | LogErrorCode | 'unknown'>;
  };
  readonly calls: Readonly<Record<CallKind, CallMeter>>;
  /** Items that watchers took, by what they watch. */
  readonly watched: Tally<'messages' | 'state' | 'services' | 'events'>;
  /** Messages that consumers of durable subscriptions took. */
  readonly deliveries: Tally<'first' | 'again'>;
  readonly plugins: PluginMeter;
  /** Refusals that the audit has counted, and those of them that were written, or dropped. */
  readonly denied: Tally<ErrorCode>;
  readonly audited: Tally<'written' | 'dropped'>;
};

/** Methods that have a series of their own; all others share one. */
const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

const createHttpMeter = (): Meters['http'] => {
  const routes = new Map<string, Map<string, RouteMeter>>();
  const meterOf = (route: string, method: string): RouteMeter => {
    const byMethod = routes.get(route) ?? new Map<string, RouteMeter>();
    routes.set(route, byMethod);
    const meter = byMethod.get(method) ?? {
      duration: new Distribution(requestBounds),
      byClass: new Float64Array(6),
    };
    byMethod.set(method, meter);
    return meter;
  };
  return {
    finished(route, given, status, durationSec) {
      const method = methods.has(given) ? given : 'other';
      const { duration, byClass } = routes.get(route)?.get(method) ?? meterOf(route, method);
      duration.observe(durationSec);
      const index = Math.trunc(status / 100);
      byClass[index] = (byClass[index] ?? 0) + 1;
    },
    routes,
    problems: new Tally(),
    openTails: 0,
  };
};

const createCallMeter = (): CallMeter => ({
  outcomes: new Tally(),
  duration: new Distribution(requestBounds),
});

/** Plugins that have a series of their own. */
const maxPlugins = 200;

const createPluginMeter = (): PluginMeter => {
  const durations = new Map<string, Distribution>();
  return {
    called(plugin, durationSec) {
      const name = durations.has(plugin) || durations.size < maxPlugins ? plugin : allOthers;
      const known = durations.get(name);
      const duration = known ?? new Distribution(pluginBounds);
      if (known === undefined) durations.set(name, duration);
      duration.observe(durationSec);
    },
    durations,
  };
};

export const createMeters = (): Meters => ({
  http: createHttpMeter(),
  refusals: new Tally(),
  sockets: { opened: new Tally(), closed: new Tally(), frames: new Tally() },
  graphql: new Tally(),
  zeromq: { received: new Tally(), sent: new Tally() },
  appends: {
    duration: new Distribution(appendBounds),
    events: new Distribution(eventBounds),
    outcomes: new Tally(),
  },
  calls: { invoke: createCallMeter(), proxy: createCallMeter(), upgrade: createCallMeter() },
  watched: new Tally(),
  deliveries: new Tally(),
  plugins: createPluginMeter(),
  denied: new Tally(),
  audited: new Tally(),
});
