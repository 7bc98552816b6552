import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedLog } from '../../src/log/embedded.ts';
import type { EventLog } from '../../src/log/event-log.ts';
import { contractSuite } from './contract.ts';

contractSuite(
  'embedded',
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'nexus-log-'));
    let log: EventLog = await openEmbeddedLog({ directory });
    return {
      log,
      reopen: async () => {
        await log.close();
        log = await openEmbeddedLog({ directory });
        return log;
      },
      close: async () => {
        await log.close();
        rmSync(directory, { recursive: true, force: true });
      },
    };
  },
  { fresh: true, hidesTruncatedFromAll: true, scavenges: true },
);
