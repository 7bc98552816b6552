import test from 'ava';
import type { PluginRecord } from '../../domain/plugin/plugin.ts';
import type { Logger } from '../../src/logger.ts';
import { createReports } from '../../src/plugin/host/reports.ts';

const open = () => {
  const clock = { now: 1_000_000 };
  const warned: object[] = [];
  const recorded: PluginRecord[] = [];
  const logger: Logger = {
    debug: () => {},
    info: () => {},
    warn: (facts, message) => warned.push({ ...facts, message }),
    error: () => {},
  };
  const record = async (_name: string, event: PluginRecord) => {
    recorded.push(event);
  };
  return { clock, warned, recorded, reports: createReports('p', 'node', record, () => clock.now, logger) };
};

test('reports › answers that cannot be used are told once a minute and hook, with the number since', (t) => {
  const { clock, warned, recorded, reports } = open();
  const message = 'a plugin gave an answer that cannot be used';
  for (let n = 0; n < 5_000; n++) reports.unusable('before_publish', `reason ${n}`);
  reports.unusable('before_service_invoke', 'other');
  t.deepEqual(warned.splice(0), [
    { plugin: 'p', hook: 'before_publish', reason: 'reason 0', count: 1, message },
    { plugin: 'p', hook: 'before_service_invoke', reason: 'other', count: 1, message },
  ]);
  clock.now += 59_999;
  reports.unusable('before_publish', 'too early');
  t.deepEqual(warned, []);
  clock.now += 1;
  for (let n = 0; n < 3; n++) reports.unusable('before_publish', 'again');
  reports.unusable('before_service_invoke', 'other');
  t.deepEqual(warned.splice(0), [
    { plugin: 'p', hook: 'before_publish', reason: 'again', count: 5_001, message },
    { plugin: 'p', hook: 'before_service_invoke', reason: 'other', count: 1, message },
  ]);
  t.deepEqual(recorded, [], 'the log of events is not for this');
});

test('reports › limits are recorded once a minute and limit, with the number since', (t) => {
  const { clock, recorded, reports } = open();
  for (let n = 0; n < 10; n++) reports.limited('callsPerSec', 'too many', '1.0.0');
  reports.limited('messageBytes', 'too large', '1.0.0');
  clock.now += 60_000;
  reports.limited('callsPerSec', 'too many', '1.0.0');
  t.deepEqual(
    recorded.map(({ data }) => 'limit' in data && [data.limit, data.count]),
    [
      ['callsPerSec', 1],
      ['messageBytes', 1],
      ['callsPerSec', 10],
    ],
  );
});
