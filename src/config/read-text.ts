import { readFileSync } from 'node:fs';

/** The text of a file, or undefined when there is none. @throws {Error} when it is there and cannot be read. */
export const readText = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
};
