import test from 'ava';
import { openEventStoreDbLog } from '../../src/log/eventstoredb.ts';
import { type EsdbServer, startEsdbServer } from '../support/esdb-server.ts';
import { skippedUnasked } from '../support/skip.ts';
import { contractSuite, type OpenedLog, type OpenLog } from './contract.ts';

// What the contract says holds without a fault; how busy the machine is must not look like one.
const patient = { tryMs: 30_000, callMs: 60_000, silenceMs: 30_000, closeMs: 30_000 } as const;

const openedAt = async (url: string, stop: () => void): Promise<OpenedLog> => {
  const log = await openEventStoreDbLog({ url, ...patient });
  const logs = [log];
  return {
    log,
    reopen: async () => {
      await log.close();
      const again = await openEventStoreDbLog({ url, ...patient });
      logs.push(again);
      return again;
    },
    close: async () => {
      await Promise.all(logs.map((opened) => opened.close()));
      stop();
    },
  };
};

const overServer =
  (prepare: (server: EsdbServer) => void): OpenLog =>
  async () => {
    const server = await startEsdbServer();
    prepare(server);
    return openedAt(server.url, server.stop);
  };

const capabilities = { fresh: true, hidesTruncatedFromAll: false, scavenges: false, appendsToSeveral: false };

contractSuite(
  'EventStoreDB (protocol server)',
  overServer(() => undefined),
  capabilities,
);

contractSuite(
  'EventStoreDB (protocol server without BatchAppend, with events of its own in $all)',
  overServer((server) => {
    server.faults.settings.features = 'unimplemented';
    server.systemEventsEvery(3);
  }),
  capabilities,
);

const realUrl = process.env.NEXUS_TEST_ESDB_URL ?? '';
if (realUrl === '') {
  test('EventStoreDB (real server) › runs the contract when NEXUS_TEST_ESDB_URL names one', (t) => {
    skippedUnasked(t, 'EventStoreDB (real server)', 'NEXUS_TEST_ESDB_URL is not set');
  });
} else {
  contractSuite('EventStoreDB (real server)', () => openedAt(realUrl, () => undefined), {
    ...capabilities,
    fresh: false,
  });
}
