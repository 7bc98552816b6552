import { watch } from 'node:fs';
import { isPluginName } from '../../../domain/plugin/manifest.ts';
import type { Clock } from '../../clock.ts';
import type { Logger } from '../../logger.ts';

/** After the last change, as editors write files in several steps. */
const quietMs = 200;
const maxNames = 1_000;

/**
 * Calls `onChange` with the name of each folder in which something has changed, and has been quiet since for a moment.
 * Returns how to stop it. The folder that is watched must be there.
 */
export const watchFolders = (
  directory: string,
  onChange: (name: string) => void,
  logger: Logger,
  clock: Clock,
): (() => void) => {
  const waiting = new Map<string, () => void>();
  const changed = (path: string | null): void => {
    const name = path?.split(/[\\/]/)[0] ?? '';
    if (!isPluginName(name) || (waiting.size >= maxNames && !waiting.has(name))) return;
    waiting.get(name)?.();
    const cancel = clock.after(quietMs, () => {
      waiting.delete(name);
      onChange(name);
    });
    waiting.set(name, cancel);
  };
  try {
    const watcher = watch(directory, { recursive: true, persistent: false }, (_event, path) => changed(path));
    watcher.on('error', (error) =>
      logger.warn({ error, directory }, 'the folders of plugins are watched no longer'),
    );
    return () => {
      watcher.close();
      for (const cancel of waiting.values()) cancel();
    };
  } catch (error) {
    logger.warn({ error, directory }, 'the folders of plugins cannot be watched');
    return () => {};
  }
};
