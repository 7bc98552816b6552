import { setTimeout as delay } from 'node:timers/promises';

/**
 * One of any number of processes of which one at a time does the work: it waits for the lock, renews it while it holds it,
 * and gives it back when it is stopped. When it is killed the next one gets the lock after the TTL.
 *
 * A process that was stopped for a minute and wakes still believes in its lock. So the lock's token goes along with each
 * write, and what is guarded (here a key of the hub itself) takes none with a token less than one that it has seen.
 *
 *     node examples/lock.ts NAME [http://127.0.0.1:8080]
 */
const [holder = `worker-${process.pid}`, url = 'http://127.0.0.1:8080'] = process.argv.slice(2);
const lock = '/locks/jobs%2Fnightly';
const ledger = '/state/ledger';
const ttlMs = 10_000;

const token = process.env.NEXUS_TOKEN;
const authorization: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };

type Answer = { readonly status: number; readonly body: Readonly<Record<string, unknown>> };

const call = async (method: string, path: string, json?: object): Promise<Answer> => {
  const response = await fetch(url + path, {
    method,
    headers: { ...authorization, 'content-type': 'application/json' },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Answer['body']) };
};

const acquire = async (): Promise<number> => {
  for (;;) {
    const { status, body } = await call('POST', lock, { holder, ttlMs, waitMs: 60_000 });
    if (status === 201) return Number(body.token);
    // Held for as long as was waited: wait again. Anything else may pass.
    if (body.code !== 'lock_held') await delay(1_000);
  }
};

type Entry = { readonly fence: number; readonly text: string };

/** Writes unless a later holder has: read and write are one, as the version is compared. */
const write = async (fence: number, text: string): Promise<'written' | 'refused'> => {
  for (;;) {
    const { status, body } = await call('GET', ledger);
    const newest = status === 404 ? 0 : (body.value as Entry).fence;
    if (newest > fence) return 'refused';
    const expectedVersion = status === 404 ? 0 : body.version;
    const put = await call('PUT', ledger, { value: { fence, text }, expectedVersion });
    if (put.status < 300) return 'written';
    if (put.body.code !== 'version_conflict') throw new Error(JSON.stringify(put.body));
  }
};

const fence = await acquire();
process.stdout.write(`${holder} holds the lock with token ${fence}\n`);

const renew = async (): Promise<void> => {
  const { status, body } = await call('PUT', lock, { token: fence, ttlMs });
  if (status !== 409) return;
  process.stdout.write(`${holder} has lost the lock: ${String(body.code)}\n`);
  process.exit(1);
};
const renewing = setInterval(() => void renew().catch(() => undefined), ttlMs / 3);

process.once('SIGTERM', async () => {
  clearInterval(renewing);
  await call('DELETE', `${lock}?token=${fence}`);
});

process.stdout.write(`${holder}: ${await write(fence, `work of ${holder}`)}\n`);
// What a holder would meet that was asleep while another one had the lock.
process.stdout.write(`token ${fence - 1}: ${await write(fence - 1, 'work of somebody who slept')}\n`);
