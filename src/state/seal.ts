import { createHash } from 'node:crypto';
import { sealBytes } from './snapshot-format.ts';

/** Holds the bytes of a snapshot to its checksum as they go by. */
export const createSeal = (): { add(chunk: Buffer): void; holds(): boolean } => {
  const hash = createHash('sha256');
  let held: Buffer = Buffer.alloc(0);
  return {
    add(chunk) {
      const all = Buffer.concat([held, chunk]);
      const end = Math.max(0, all.length - sealBytes);
      hash.update(all.subarray(0, end));
      held = all.subarray(end);
    },
    holds: () => held.toString('latin1') === `"sha256":"${hash.copy().digest('hex')}"}\n`,
  };
};
