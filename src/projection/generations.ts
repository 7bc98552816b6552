import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../logger.ts';
import { type Manifest, mismatch, readManifest } from './generation.ts';
import type { LmdbReadStore } from './lmdb.ts';
import { ReadModelDamaged } from './read-store.ts';

/** Opens the store of a generation's folder; `onDamaged` is told of damage that a later read meets. */
export type OpenStore = (directory: string) => Promise<LmdbReadStore>;

export type FoundGeneration = {
  readonly number: number;
  readonly directory: string;
  readonly store: LmdbReadStore;
};

const namePattern = /^generation-(\d{1,9})$/;
const damageFile = 'damaged';

export const generationDirectory = (directory: string, number: number): string =>
  join(directory, `generation-${number}`);

/** So that the next start does not trust it either; whoever cannot write that finds the damage again. */
export const markDamaged = (directory: string, reason: string): Promise<void> =>
  writeFile(join(directory, damageFile), `${reason}\n`);

export const removeGeneration = (directory: string): Promise<void> =>
  rm(directory, { recursive: true, force: true, maxRetries: 3 });

const numbersIn = async (directory: string): Promise<number[]> => {
  await mkdir(directory, { recursive: true });
  const numbers: number[] = [];
  for (const name of await readdir(directory)) {
    const digits = namePattern.exec(name)?.[1];
    if (digits !== undefined) numbers.push(Number(digits));
  }
  return numbers.sort((left, right) => right - left);
};

/**
 * Finds the newest generation that can serve `wanted`, else the newest that was begun for it; the others are deleted.
 * `next` is the number of the generation that is made next.
 *
 * @throws what the system says when a store cannot be opened for another reason than damage.
 */
export const findGeneration = async (
  directory: string,
  wanted: Manifest,
  openStore: OpenStore,
  logger: Logger,
): Promise<{ readonly found: FoundGeneration | undefined; readonly next: number }> => {
  let found: (FoundGeneration & { readonly complete: boolean }) | undefined;
  const numbers = await numbersIn(directory);
  for (const number of numbers) {
    const folder = generationDirectory(directory, number);
    const discard = async (reason: string): Promise<void> => {
      logger.warn({ generation: number, reason }, 'read models are discarded');
      await removeGeneration(folder);
    };
    if (existsSync(join(folder, damageFile))) {
      await discard('it is damaged');
      continue;
    }
    if (found?.complete) {
      await discard('a newer one is complete');
      continue;
    }
    let store: LmdbReadStore | undefined;
    try {
      store = await openStore(folder);
      const manifest = readManifest(store);
      const reason = mismatch(manifest, wanted);
      const complete = manifest?.complete === true;
      if (reason === undefined && (found === undefined || complete)) {
        if (found !== undefined) {
          await found.store.close();
          await removeGeneration(found.directory);
        }
        found = { number, directory: folder, store, complete };
        continue;
      }
      await store.close();
      await discard(reason ?? 'a newer one was begun');
    } catch (error) {
      await store?.close();
      if (!(error instanceof ReadModelDamaged)) throw error;
      await discard(error.message);
    }
  }
  return { found, next: (numbers[0] ?? 0) + 1 };
};
