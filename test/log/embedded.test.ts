import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedLog } from '../../src/log/embedded.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import { contractSuite } from './contract.ts';

/** Many logs are open at once, and each reserves its address space. */
const mapSizeBytes = 2 ** 28;

/** Every capability, in a folder of its own; `flushEvents` decides how much of the index stands on disk. */
const suite = (name: string, flushEvents: number): void => {
  contractSuite(
    name,
    async () => {
      const directory = mkdtempSync(join(tmpdir(), 'nexus-log-'));
      let log: EventLog = await openEmbeddedLog({ directory, watchdogMs: 60_000, flushEvents, mapSizeBytes });
      return {
        log,
        reopen: async () => {
          await log.close();
          log = await openEmbeddedLog({ directory, watchdogMs: 60_000, flushEvents, mapSizeBytes });
          return log;
        },
        close: async () => {
          await log.close();
          rmSync(directory, { recursive: true, force: true });
        },
      };
    },
    { fresh: true, hidesTruncatedFromAll: true, scavenges: true, appendsToSeveral: true },
  );
};

suite('embedded', 16_384);
suite('embedded, index on disk at once', 1);
