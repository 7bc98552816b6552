import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { Logger } from '../logger.ts';

export type TlsFiles = { readonly cert: string; readonly key: string };
export type TlsPair = { readonly cert: Buffer; readonly key: Buffer };

/** Polling sees what event APIs miss: a replaced symbolic link, a network file system. */
const pollMs = 1_000;

/** @throws {Error} when a file cannot be read, or the key is not that of the certificate. */
export const readTlsFiles = (files: TlsFiles): TlsPair => {
  const pair = { cert: readFileSync(files.cert), key: readFileSync(files.key) };
  createSecureContext(pair);
  return pair;
};

/**
 * Calls `use` with the new pair when either file changes. A pair that does not fit together (one of the two files is
 * still the old one) is left until the next change, and the former stays in use. Returns what ends the watching.
 */
export const watchTlsFiles = (
  files: TlsFiles,
  use: (pair: TlsPair) => void,
  logger: Logger,
): (() => void) => {
  const reload = (): void => {
    try {
      use(readTlsFiles(files));
      logger.info({ cert: files.cert }, 'the TLS certificate was reloaded');
    } catch (error) {
      logger.warn({ err: error }, 'the TLS files changed and cannot be used; the former certificate stays');
    }
  };
  const watched = [files.cert, files.key];
  for (const file of watched) watchFile(file, { interval: pollMs, persistent: false }, reload);
  return () => {
    for (const file of watched) unwatchFile(file, reload);
  };
};
