import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import type { Subject } from '../../../../domain/access.ts';
import { scopesOf, subjectNameFault } from '../../../../domain/subject-name.ts';
import { isZ85Key } from '../../../config/endpoint.ts';
import type { Logger } from '../../../logger.ts';
import { publicKeyOf } from './keys.ts';

/** Who is let in, by public key (Z85). */
export type CurveClients = {
  subjectOf(publicKey: string): Subject | undefined;
  /** Calls `listener` each time the file has changed and was taken. */
  onChange(listener: () => void): void;
  close(): void;
};

export type CurveClientsOptions = {
  readonly secretKey: string;
  /** Null: only who has the hub's own key. */
  readonly file: string | null;
  readonly logger: Logger;
  /** How often the file is looked at; 1,000 unless given. */
  readonly pollMs?: number;
};

const maxFileBytes = 4 * 1024 * 1024;
const maxClients = 10_000;

/**
 * Whoever has the hub's own secret key is another node of the same system: it may follow the log, and send nothing.
 * The file can say otherwise.
 */
const ownSubject: Subject = { id: 'system', scopes: ['log:read'] };

/** @throws {Error} that names the entry and what is allowed. */
export const parseCurveClients = (text: string): ReadonlyMap<string, Subject> => {
  let entries: unknown;
  try {
    entries = JSON.parse(text);
  } catch (cause) {
    throw new Error('it is not JSON', { cause });
  }
  if (!Array.isArray(entries)) throw new Error('it must hold a list of { publicKey, subject, scope }');
  if (entries.length > maxClients) throw new Error(`it has more than ${maxClients} entries`);
  const clients = new Map<string, Subject>();
  for (const [index, entry] of entries.entries()) {
    const { publicKey, subject } = parseEntry(entry, `entry ${index}`);
    if (clients.has(publicKey)) throw new Error(`entry ${index} has the public key of an entry before it`);
    clients.set(publicKey, subject);
  }
  return clients;
};

const known: ReadonlySet<string> = new Set(['publicKey', 'subject', 'scope']);

const parseEntry = (entry: unknown, name: string): { publicKey: string; subject: Subject } => {
  if (typeof entry !== 'object' || entry === null) throw new Error(`${name} is not an object`);
  const unknown = Object.keys(entry).find((key) => !known.has(key));
  if (unknown !== undefined) {
    throw new Error(`${name} has an unknown member; known are publicKey, subject, scope`);
  }
  const { publicKey, subject, scope } = entry as Readonly<Record<string, unknown>>;
  if (typeof publicKey !== 'string' || !isZ85Key(publicKey)) {
    throw new Error(`the publicKey of ${name} is not 40 characters of Z85`);
  }
  if (typeof subject !== 'string') throw new Error(`the subject of ${name} is not a text`);
  const nameFault = subjectNameFault(subject);
  if (nameFault !== undefined) throw new Error(`the subject of ${name} ${nameFault}`);
  if (typeof scope !== 'string') throw new Error(`the scope of ${name} is not a text`);
  return { publicKey, subject: { id: subject, scopes: scopesOf(scope) } };
};

const readFile = (file: string): ReadonlyMap<string, Subject> => {
  const text = readFileSync(file);
  if (text.length > maxFileBytes) throw new Error(`it is larger than ${maxFileBytes} bytes`);
  return parseCurveClients(text.toString('utf8'));
};

/**
 * Reads the clients, and again when the file changes. A change that cannot be read leaves the former clients in, with a
 * warning; an empty list lets nobody in.
 *
 * @throws {Error} when the secret key is none, or the file cannot be read as such a list.
 */
export const openCurveClients = (options: CurveClientsOptions): CurveClients => {
  const { secretKey, file, logger, pollMs = 1_000 } = options;
  const ownKey = publicKeyOf(secretKey);
  if (ownKey === undefined) throw new Error('zmqCurveSecretKey is not a CURVE key');
  const listeners: (() => void)[] = [];
  let clients: ReadonlyMap<string, Subject> = new Map();
  if (file !== null) {
    try {
      clients = readFile(file);
    } catch (cause) {
      throw new Error(`zmqCurveClients ${file} cannot be used`, { cause });
    }
  }

  const reload = (): void => {
    if (file === null) return;
    try {
      clients = readFile(file);
    } catch (error) {
      logger.warn({ err: error, file }, 'the file of CURVE clients changed and cannot be used');
      return;
    }
    logger.info({ file, clients: clients.size }, 'the file of CURVE clients was read again');
    for (const listener of listeners) listener();
  };
  if (file !== null) watchFile(file, { interval: pollMs, persistent: false }, reload);

  return {
    subjectOf: (publicKey) => clients.get(publicKey) ?? (publicKey === ownKey ? ownSubject : undefined),
    onChange: (listener) => {
      listeners.push(listener);
    },
    close: () => {
      if (file !== null) unwatchFile(file, reload);
    },
  };
};
