import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import type { Logger } from '../../logger.ts';
import { type KeySet, parseKeySet, type VerificationKey } from './keys.ts';

export type KeySetFileOptions = {
  readonly file: string;
  readonly logger: Logger;
  readonly use: (keys: readonly VerificationKey[]) => void;
  /** How often the file is looked at; 1,000 unless given. */
  readonly pollMs?: number;
};

/**
 * Uses the keys of a file, and again when it changes; one that cannot be used leaves the former keys. Returns what ends the
 * watching.
 *
 * @throws {Error} when the file cannot be read or used at first.
 */
export const openKeySetFile = (options: KeySetFileOptions): (() => void) => {
  const { file, logger, use, pollMs = 1_000 } = options;
  const read = (): Extract<KeySet, { ok: true }> => {
    const set = parseKeySet(readFileSync(file));
    if (!set.ok) throw new Error(`jwksFile: ${file} is not a usable key set: ${set.reason}`);
    if (set.passedOver.length > 0) {
      logger.warn({ file, passedOver: set.passedOver }, 'keys of the key set are not used');
    }
    return set;
  };
  const reload = (): void => {
    try {
      const { keys } = read();
      use(keys);
      logger.info({ file, keys: keys.length }, 'the key set was reloaded');
    } catch (error) {
      logger.error({ err: error }, 'the key set changed and cannot be used; the former keys stay');
    }
  };
  use(read().keys);
  // As for the TLS files: polling sees a replaced symbolic link, and a network file system.
  watchFile(file, { interval: pollMs, persistent: false }, reload);
  return () => unwatchFile(file, reload);
};
