import { createInterface } from 'node:readline';
import { parseConfig } from '../../src/config.ts';
import { openCore } from '../../src/core.ts';
import { limitHeapGrowth } from '../../src/heap.ts';
import { newId } from '../../src/ids.ts';
import { createLogger } from '../../src/logger.ts';
import { text } from '../support/events.ts';
import { load } from '../support/measure.ts';
import { type ClientJob, type ClientLoad, keyOf } from './store.ts';

/**
 * A hub without its gateway, to be filled with commands without a client: one by one over a socket a million takes long.
 * Argument: its folder. Prints a line when it is open, then for each line with a `ClientJob` a `ClientLoad`.
 */
// As bin/nexus.js does.
limitHeapGrowth();
const folder = process.argv[2] ?? 'bench-hub';
const flags = ['--log', `file:${folder}`, '--data-dir', folder, '--state-file', 'none'];
const parsed = parseConfig(flags, {}, () => undefined);
if (!parsed.ok) throw new Error(parsed.message);
const core = await openCore(parsed.config, { logger: createLogger('warn') });

const filler = text(172);
const subject = { id: 'bench', scopes: ['state:write:*'] };

const put = async (key: string, turn: number): Promise<void> => {
  const value = { n: String(turn).padStart(10, '0'), text: filler };
  const result = await core.execute(
    { type: 'SetState', data: { key, value } },
    { subject, correlationId: newId() },
  );
  if (!result.ok) throw new Error(result.problem.detail);
};

const fill = async ({ first, count, inFlight, n = 0 }: ClientJob): Promise<ClientLoad> => ({
  n,
  ...(await load(n, inFlight, (turn) => put(keyOf(first + (turn % count)), turn))),
});

const end = async (): Promise<void> => {
  await core.close();
  process.exit(0);
};
process.once('SIGTERM', end);

process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await fill(JSON.parse(line)))}\n`);
}
await end();
