import type { Clock } from '../../clock.ts';
import type { Config } from '../../config.ts';
import { given } from '../../given.ts';
import type { Logger } from '../../logger.ts';
import { openKeySetFile } from './key-set-file.ts';
import type { KeyAlgorithm, VerificationKey } from './keys.ts';

/** The public keys of jwksFile and jwksUrl. */
export type KeySets = {
  /** Without a `kid`: the key that alone has the algorithm. */
  find(algorithm: KeyAlgorithm, kid: string | undefined): VerificationKey | undefined;
  /** True when `token` was signed with the key, by the key's algorithm and no other. Never rejects. */
  isSigned(token: string, key: VerificationKey): Promise<boolean>;
  /** False once the key is in no set any more. */
  has(key: VerificationKey): boolean;
  /** True when there is no key at all: the sets cannot be had, or are empty. */
  readonly empty: boolean;
  /** Looks for new keys: resolves when that is done; undefined when it was done a moment ago. Never rejects. */
  lookAgain(): Promise<void> | undefined;
  /** Called after each change, once at most: what was verified with a key that is gone is to be forgotten. */
  onChange(listener: () => void): void;
  close(): void;
};

export type KeySetsOptions = {
  readonly config: Pick<Config, 'jwksUrl' | 'jwksFile'>;
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly filePollMs?: number;
  readonly fetchTimeoutMs?: number;
};

/** Undefined when neither is configured. @throws {Error} when jwksFile cannot be used. */
export const openKeySets = async (options: KeySetsOptions): Promise<KeySets | undefined> => {
  const { config, logger, clock, filePollMs, fetchTimeoutMs } = options;
  const { jwksFile, jwksUrl } = config;
  if (jwksFile === null && jwksUrl === null) return undefined;
  // What only key sets need is loaded when there is one.
  const { compactVerify } = await import('jose');
  const sources = { file: emptyKeys, url: emptyKeys };
  let byName: ReadonlyMap<string, VerificationKey> = new Map();
  let lone: ReadonlyMap<string, VerificationKey | undefined> = new Map();
  let all: ReadonlySet<VerificationKey> = new Set();
  let changed = (): void => {};

  const use = (source: keyof typeof sources) => (keys: readonly VerificationKey[]) => {
    sources[source] = keys;
    const used = mergeKeys([...sources.file, ...sources.url], all);
    all = new Set(used.keys);
    byName = new Map(used.keys.flatMap((key) => (key.kid === undefined ? [] : [[nameOf(key), key]])));
    lone = loneKeys(used.keys);
    if (used.hidden.length > 0) {
      logger.warn({ kids: used.hidden }, 'two keys have one kid and algorithm; the first counts');
    }
    changed();
  };

  const closeFile =
    jwksFile === null
      ? undefined
      : openKeySetFile({
          file: jwksFile,
          logger,
          use: use('file'),
          ...given({ pollMs: filePollMs }),
        });
  const byUrl =
    jwksUrl === null
      ? undefined
      : await (await import('./key-set-url.ts')).openKeySetUrl({
          url: jwksUrl,
          logger,
          use: use('url'),
          ...given({ clock, timeoutMs: fetchTimeoutMs }),
        });

  return {
    find: (algorithm, kid) => (kid === undefined ? lone.get(algorithm) : byName.get(`${algorithm} ${kid}`)),
    isSigned: async (token, { key, algorithm }) => {
      try {
        await compactVerify(token, key, { algorithms: [algorithm] });
        return true;
      } catch {
        return false;
      }
    },
    has: (key) => all.has(key),
    get empty() {
      return all.size === 0;
    },
    lookAgain: () => byUrl?.lookAgain(),
    onChange: (listener) => {
      changed = listener;
    },
    close: () => {
      closeFile?.();
      byUrl?.close();
    },
  };
};

const emptyKeys: readonly VerificationKey[] = [];

const nameOf = ({ algorithm, kid = '' }: VerificationKey): string => `${algorithm} ${kid}`;

/** Each key once, and as the object that it was before: what was verified with it stays known. */
const mergeKeys = (given: readonly VerificationKey[], before: ReadonlySet<VerificationKey>) => {
  const known = new Map([...before].map((key) => [`${nameOf(key)} ${key.thumbprint}`, key]));
  const named = new Map<string, VerificationKey>();
  const keys = new Set<VerificationKey>();
  const prints = new Set<string>();
  const hidden: string[] = [];
  for (const key of given) {
    const print = `${nameOf(key)} ${key.thumbprint}`;
    if (prints.has(print)) continue;
    if (key.kid !== undefined && named.has(nameOf(key))) {
      hidden.push(key.kid);
      continue;
    }
    prints.add(print);
    const kept = known.get(print) ?? key;
    if (key.kid !== undefined) named.set(nameOf(key), kept);
    keys.add(kept);
  }
  return { keys: [...keys], hidden };
};

/** By algorithm the key that alone has it. */
const loneKeys = (keys: readonly VerificationKey[]): ReadonlyMap<string, VerificationKey | undefined> => {
  const lone = new Map<string, VerificationKey | undefined>();
  for (const key of keys) lone.set(key.algorithm, lone.has(key.algorithm) ? undefined : key);
  return lone;
};
