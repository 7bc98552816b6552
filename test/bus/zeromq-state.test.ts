import test from 'ava';
import { openZeroMq } from '../../src/bus/zeromq.ts';
import { createLogger } from '../../src/logger.ts';
import { openHub } from '../support/hub.ts';
import { openDealer } from '../support/zeromq.ts';

const hub = await openHub();
const zeroMq = await openZeroMq({
  core: hub.core,
  config: { zmqPublish: 'none', zmqCommand: 'tcp://127.0.0.1:*', jwtSecret: null },
  logger: createLogger('silent'),
});
test.after.always(async () => {
  await zeroMq.close();
  await hub.close();
});

const dealer = () => openDealer(zeroMq.command ?? '');
const command = (type: string, data: object, id: string) => ({
  type: 'command',
  command: { type, data },
  id,
});

test('commands on state keys over ZeroMQ › patch, count, resolve, change several, and set policies', async (t) => {
  const { socket, ask } = dealer();
  const done = async (type: string, data: object) => {
    const answer = await ask(command(type, data, type));
    t.like(answer, { type: 'result', id: type }, JSON.stringify(answer));
    return answer.result as object;
  };
  await done('SetState', { key: 'a', value: { n: 1 }, ttlMs: 3_600_000 });
  t.like(await done('PatchState', { key: 'a', format: 'merge-patch', patch: { m: 2 } }), {
    value: { n: 1, m: 2 },
    version: 2,
  });
  const merged = { key: 'a', value: { n: 3 }, expectedVersion: 1, resolver: 'three-way-merge' };
  t.like(await done('SetState', merged), {
    value: { n: 3, m: 2 },
    resolution: { resolver: 'three-way-merge' },
  });
  t.like(await done('IncrementState', { key: 'b', by: 2 }), { value: 2 });
  const transaction = {
    compare: [{ key: 'b', atLeast: 2 }],
    // biome-ignore lint/suspicious/noThenProperty: the name on the wire
    then: [
      { op: 'increment', key: 'b', by: -2 },
      { op: 'set', key: 'c', value: 'paid' },
    ],
  };
  t.like(await done('TransactState', transaction), { succeeded: true });
  t.like(await done('SetStatePolicy', { pattern: 'full/*', maxKeys: 1 }), { maxKeys: 1 });
  t.like(await done('CreateApiKey', { name: 'by frame', scopes: ['admin'] }), { keyShown: true });
  t.like(await done('RevokeToken', { jti: 'by-frame' }), { jti: 'by-frame' });
  await done('SetState', { key: 'full/1', value: 1 });
  const refused = await ask(command('SetState', { key: 'full/2', value: 1 }, 'full'));
  t.like(refused, { type: 'error', id: 'full', code: 'quota_exceeded', pattern: 'full/*' });
  await done('RemoveStatePolicy', { pattern: 'full/*' });
  await done('SetState', { key: 'full/2', value: 1 });
  socket.close();
});

test('locks over ZeroMQ › one who waits gets it when it is released, with a greater token', async (t) => {
  const [holder, waiter] = [dealer(), dealer()];
  const acquire = (who: string, waitMs: number) =>
    command('AcquireLock', { key: 'lock', holder: who, ttlMs: 600_000, waitMs }, who);
  const held = (await holder.ask(acquire('ann', 0))).result as { readonly token: number };
  t.like(await waiter.ask(acquire('bob', 0)), { type: 'error', code: 'lock_held', holder: 'ann' });
  const waiting = waiter.ask(acquire('bob', 60_000));
  const renewed = await holder.ask(
    command('RenewLock', { key: 'lock', token: held.token, ttlMs: 600_000 }, 'r'),
  );
  t.like(renewed.result as object, { token: held.token, holder: 'ann' });
  await holder.ask(command('ReleaseLock', { key: 'lock', token: held.token }, 'release'));
  const next = (await waiting).result as { readonly token: number; readonly holder: string };
  t.is(next.holder, 'bob');
  t.true(next.token > held.token);
  holder.socket.close();
  waiter.socket.close();
});
