import { createHash } from 'node:crypto';
import { readFileSync, statSync, unwatchFile, watchFile } from 'node:fs';
import type { Logger } from '../../logger.ts';
import { type createUnderstand, isUnderstood, type PersistedDocuments, type Understood } from './document.ts';

export type PersistedOptions = {
  /** A JSON object: documents by their ids. Null for none. */
  readonly file: string | null;
  readonly only: boolean;
  readonly understand: ReturnType<typeof createUnderstand>;
  readonly logger: Logger;
};

export type PersistedFile = PersistedDocuments & { close(): void };

const maxFileBytes = 16 * 1_048_576;
const maxDocuments = 2_000;
// GraphQL over HTTP, appendix "Persisted documents"; prefixes other than these are reserved.
const idForm =
  /^(?:sha256:[0-9a-f]{64}|x-[A-Za-z0-9._~-]{1,64}:[A-Za-z0-9._~:-]{1,128}|[A-Za-z0-9._~-]{1,128})$/;
const sha256 = 'sha256:';
/** Polling sees what event APIs miss: a replaced symbolic link, a network file system. */
const pollMs = 1_000;

/** @throws {Error} when the file cannot be read, is no such object, or has a document that could not be run. */
const readDocuments = (
  file: string,
  understand: PersistedOptions['understand'],
): ReadonlyMap<string, Understood> => {
  const { size } = statSync(file);
  if (size > maxFileBytes) throw new Error(`it is larger than ${maxFileBytes} bytes`);
  const content: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new Error('it must be an object: documents by their ids');
  }
  const entries: readonly (readonly [string, unknown])[] = Object.entries(content);
  if (entries.length > maxDocuments) throw new Error(`it has more than ${maxDocuments} documents`);
  const documents = new Map<string, Understood>();
  for (const [id, text] of entries) {
    if (!idForm.test(id)) throw new Error(`${JSON.stringify(id.slice(0, 256))} is no id of a document`);
    if (typeof text !== 'string') throw new Error(`${id} must be text`);
    if (
      id.startsWith(sha256) &&
      createHash('sha256').update(text).digest('hex') !== id.slice(sha256.length)
    ) {
      throw new Error(`${id} is not the SHA-256 of its document`);
    }
    const understood = understand(text);
    if (!isUnderstood(understood)) {
      throw new Error(`${id} could not be run: ${understood.map(({ message }) => message).join('; ')}`);
    }
    documents.set(id, understood);
  }
  return documents;
};

/**
 * The documents of a file, taken again when it changes. A file that cannot be used leaves the former documents.
 *
 * @throws {Error} when it cannot be used at the start.
 */
export const openPersistedDocuments = (options: PersistedOptions): PersistedFile => {
  const { file, only, understand, logger } = options;
  if (file === null) return { only, find: () => undefined, close: () => {} };
  let documents: ReadonlyMap<string, Understood>;
  try {
    documents = readDocuments(file, understand);
  } catch (cause) {
    throw new Error(`graphqlDocuments ${file} cannot be used`, { cause });
  }
  const reload = (): void => {
    try {
      documents = readDocuments(file, understand);
      logger.info({ file, documents: documents.size }, 'the persisted GraphQL documents were reloaded');
    } catch (error) {
      logger.warn(
        { file, reason: error instanceof Error ? error.message : String(error) },
        'graphqlDocuments changed and cannot be used; the former documents stay',
      );
    }
  };
  watchFile(file, { interval: pollMs, persistent: false }, reload);
  return {
    only,
    find: (id) => documents.get(id),
    close: () => unwatchFile(file, reload),
  };
};
