import type { Ownership } from '../../bus/ownership.ts';
import type { Instance, Instances } from '../instance.ts';

/** Which instances this node judges, of several on one log (docs/adr/0027-several-nodes.md). */
export type Shares = {
  /** False while others may have taken this node to be gone: then it judges nobody. */
  readonly valid: boolean;
  judges(instance: Instance): boolean;
  /** The WebSocket over which the instance is called is open to this node. */
  holds(instance: Instance): boolean;
  /** It was last open to another one. */
  isElsewhere(instance: Instance): boolean;
  /** Calls `look` for each instance, a slice at a time, after nodes came or went, or the lease of this one did. */
  follow(look: (instance: Instance) => void): void;
};

export type SharesOptions = {
  readonly ownership: Ownership;
  readonly node: string;
  readonly instances: Instances;
  readonly hasSocket: (id: string) => boolean;
};

/** Hashing 500 ids takes about a millisecond for each node. */
const sliceSize = 500;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const createShares = ({ ownership, node, instances, hasSocket }: SharesOptions): Shares => {
  const isValid = (): boolean => ownership.valid && ownership.self !== undefined;

  /** Of an instance without an address: the node that its WebSocket is open to, or was before this one saw it go. */
  const holder = ({ id, document: { servedBy } }: Instance): string | undefined => {
    if (hasSocket(id)) return node;
    return servedBy !== null && (servedBy === node || ownership.others.has(servedBy)) ? servedBy : undefined;
  };

  return {
    get valid() {
      return isValid();
    },

    judges(instance) {
      if (ownership.self === null) return true;
      if (!isValid()) return false;
      const held = instance.document.reach === 'socket' ? holder(instance) : undefined;
      return held === undefined ? ownership.isChosen(instance.id) : held === node;
    },

    holds: ({ id }) => hasSocket(id),
    isElsewhere: ({ document: { servedBy } }) => servedBy !== null && servedBy !== node,

    follow(look) {
      let running = false;
      let again = false;
      const lookThrough = async (): Promise<void> => {
        running = true;
        do {
          again = false;
          let seen = 0;
          for (const instance of instances.all()) {
            look(instance);
            if (++seen % sliceSize === 0) await turn();
          }
        } while (again);
        running = false;
      };
      ownership.onChange(() => {
        again = true;
        if (!running) void lookThrough();
      });
    },
  };
};
