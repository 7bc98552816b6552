import { satisfies } from 'semver';
import type { Actor } from './actor.ts';

export type DependencyParts = {
  actorOf(name: string): Actor | undefined;
  isEnabled(name: string): boolean;
  enabledNames(): readonly string[];
};

/** Who needs whom, among the plugins of this node (docs/adr/0049-life-of-plugins.md). */
export const createDependencies = ({ actorOf, isEnabled, enabledNames }: DependencyParts) => {
  /** Plugins that are being started, by those that they wait for. */
  const waits = new Map<string, string>();

  /** The way from `name` back to itself over who waits for whom; undefined when there is none. */
  const cycleOf = (name: string, dependency: string): readonly string[] | undefined => {
    const way = [name, dependency];
    for (
      let next = waits.get(dependency);
      next !== undefined && way.length <= waits.size + 2;
      next = waits.get(next)
    ) {
      way.push(next);
      if (next === name) return way;
    }
    return undefined;
  };

  const needsFault = async (name: string, dependency: string, range: string): Promise<string | undefined> => {
    const actor = actorOf(dependency);
    if (actor === undefined || !isEnabled(dependency))
      return `it needs ${dependency} ${range}, which is not enabled`;
    if (actor.running === undefined) {
      const cycle = cycleOf(name, dependency);
      if (cycle !== undefined) return `it needs itself: ${cycle.join(' needs ')}`;
      waits.set(name, dependency);
      try {
        await actor.idle();
      } finally {
        waits.delete(name);
      }
    }
    const version = actor.running?.program.version;
    if (version === undefined) return `it needs ${dependency}, which does not run`;
    return satisfies(version, range) ? undefined : `it needs ${dependency} ${range}, and ${version} runs`;
  };

  return {
    /** Waits for those that are being started. */
    async fault(name: string, dependencies: Readonly<Record<string, string>>): Promise<string | undefined> {
      for (const [dependency, range] of Object.entries(dependencies)) {
        const found = await needsFault(name, dependency, range);
        if (found !== undefined) return found;
      }
      return undefined;
    },
    /** The same without waiting, and of plugins that are enabled: for a command. */
    missing(dependencies: Readonly<Record<string, string>>): string | undefined {
      const absent = Object.entries(dependencies).find(([dependency]) => !isEnabled(dependency));
      return absent === undefined ? undefined : `it needs ${absent[0]} ${absent[1]}, which is not enabled`;
    },
    rangeFault(name: string, version: string): string | undefined {
      for (const dependant of enabledNames()) {
        const range = actorOf(dependant)?.dependencies()[name];
        if (range !== undefined && !satisfies(version, range))
          return `${dependant} needs ${name} ${range}, and this is ${version}`;
      }
      return undefined;
    },
    dependants: (name: string): readonly string[] =>
      enabledNames()
        .filter((other) => Object.hasOwn(actorOf(other)?.dependencies() ?? {}, name))
        .toSorted(),
  };
};
