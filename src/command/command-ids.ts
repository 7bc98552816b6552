import { BoundedMap } from '../bounded-map.ts';

/** Ids that are remembered; the one that was used longest ago goes first. */
const maxIds = 50_000;

/**
 * Which input each command id of a subject came with, in this process: an id that names a command on one stream is
 * refused with another input on another stream, where the log would not find it. Which command was done, the log alone knows.
 */
export type CommandIds = {
  /**
   * Runs `work` unless the id came with another input; undefined then. An id whose command was refused is free again.
   *
   * @param name stands for subject and id.
   */
  claim<Value extends { readonly ok: boolean }>(
    name: string,
    inputHash: string,
    work: () => Promise<Value>,
  ): Promise<Value | undefined>;
};

export const createCommandIds = (): CommandIds => {
  const inputs = new BoundedMap<string, string>(maxIds);
  return {
    claim: async (name, inputHash, work) => {
      const before = inputs.get(name);
      if (before !== undefined && before !== inputHash) return undefined;
      inputs.set(name, inputHash);
      let done = false;
      try {
        const value = await work();
        done = value.ok;
        return value;
      } finally {
        if (!done && before === undefined) inputs.delete(name);
      }
    },
  };
};
