import { pluginSubjectPrefix } from '../../../domain/access.ts';

/** Questions to one plugin that wait for their answers. */
const maxInFlight = 1_000;
/** What plugins do about what plugins do. */
export const maxHops = 4;

/** Name of the plugin that acts as this subject. */
export const pluginOf = (subject: string): string | undefined =>
  subject.startsWith(pluginSubjectPrefix) ? subject.slice(pluginSubjectPrefix.length) : undefined;

/**
 * The calls of plugins that are under way, and how many steps a command is away from a client's: what a plugin does cannot be
 * told apart by the call that it works on, so it is one step beyond the furthest of them (docs/adr/0052-hooks.md).
 */
export type Flights = {
  /** Undefined when there are too many; else to be called when it has ended. @param hops 0 … 4. */
  begin(plugin: string, hops: number): (() => void) | undefined;
  /** 0 for what no plugin does. */
  hopsOf(subject: string): number;
};

export const createFlights = (): Flights => {
  /** By plugin: how many there are at each step. A plugin without any has no entry. */
  const flights = new Map<string, number[]>();

  return {
    begin(plugin, hops) {
      const steps = flights.get(plugin) ?? Array.from({ length: maxHops + 1 }, () => 0);
      if (steps.reduce((sum, count) => sum + count, 0) >= maxInFlight) return undefined;
      steps[hops] = (steps[hops] ?? 0) + 1;
      flights.set(plugin, steps);
      return () => {
        steps[hops] = (steps[hops] ?? 1) - 1;
        if (steps.every((count) => count === 0)) flights.delete(plugin);
      };
    },
    hopsOf(subject) {
      const plugin = pluginOf(subject);
      if (plugin === undefined) return 0;
      const furthest = flights.get(plugin)?.findLastIndex((count) => count > 0) ?? 0;
      return 1 + furthest;
    },
  };
};
