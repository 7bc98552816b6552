import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { LogError } from '../../src/log/event-log.ts';
import { createGatedLog } from '../../src/log/gated.ts';
import {
  begin,
  closedPort,
  esdbFor,
  folderFor,
  identifyEsdb,
  identifyFolder,
  opened,
  openFolder,
  someEvent,
  stream,
  watchThing,
} from './open-world.ts';

const unavailable = { instanceOf: LogError, code: 'log_unavailable' };

test('a remembered log that is away › the gate refuses at once, nothing else is taken, and it opens by itself', async (t) => {
  const [server, other] = [await esdbFor(t), await folderFor(t)];
  const memory = { logId: await identifyEsdb(server), kind: 'eventstoredb' } as const;
  await identifyFolder(other);
  server.kill();
  const { opening, lines } = begin(t, [server.url, `file:${other}`], { memory });
  const { log, logId } = await opening;

  t.is(logId, memory.logId);
  t.like(log, { kind: 'eventstoredb', reachable: false });
  await t.throwsAsync(log.append(stream, [someEvent()], 'none'), unavailable);
  await t.throwsAsync(log.readStream(stream, { limit: 1 }), unavailable);
  await t.throwsAsync(log.readAll({ limit: 1 }), unavailable);
  await t.throwsAsync(log.head(stream), unavailable);
  await t.throwsAsync(log.position(), unavailable);
  t.regex(await lines.saw(/waiting for the event log/), new RegExp(`this node is of the log ${logId}`));
  const stop = new AbortController();
  const watched = watchThing(log, stop.signal);

  await server.restart();
  await opened(log);
  const event = someEvent();
  t.is((await log.append(stream, [event], 'none')).ok, true);
  t.is((await watched)?.id, event.id, 'a watch that began behind the gate goes on');
  t.true(log.reachable);
  t.regex(
    await log.position(),
    new RegExp(`^[0-9a-f]{${log.start.length}}$`),
    'positions are as wide as its start',
  );
  const untouched = await openFolder(other);
  t.is(await untouched.head(stream), undefined);
  await untouched.close();
});

test('a remembered log whose folder is gone › is not begun anew, and is taken when it is back', async (t) => {
  const folder = await folderFor(t);
  const memory = { logId: await identifyFolder(folder), kind: 'embedded' } as const;
  await rename(join(folder, 'log'), join(folder, 'elsewhere'));
  const { opening, lines } = begin(t, [`file:${folder}`], { memory });
  const { log } = await opening;
  t.regex(await lines.saw(/waiting for the event log/), /is empty/);
  await t.throwsAsync(log.append(stream, [someEvent()], 'none'), unavailable);
  t.false(existsSync(join(folder, 'log')));
  await rename(join(folder, 'elsewhere'), join(folder, 'log'));
  await opened(log);
  t.is((await log.append(stream, [someEvent()], 'none')).ok, true);
});

test('a remembered log that was emptied › is not its log', async (t) => {
  const folder = await folderFor(t);
  await (await openFolder(folder)).close();
  const memory = { logId: '0199aaaa-0000-7000-8000-000000000000', kind: 'embedded' } as const;
  const { opening, lines } = begin(t, [`file:${folder}`], { memory });
  const { log } = await opening;
  await lines.saw(/waiting for the event log.*is empty/);
  await t.throwsAsync(log.append(stream, [someEvent()], 'none'), unavailable);
  const emptied = await openFolder(folder);
  t.is(await emptied.position(), emptied.start, 'nothing was written, and it is not held open');
  await emptied.close();
});

test('behind the gate › a log that cannot be used is told of, and does not end the wait', async (t) => {
  const folder = await folderFor(t);
  const memory = { logId: await identifyFolder(folder), kind: 'embedded' } as const;
  const [log, elsewhere] = [join(folder, 'log'), join(folder, 'elsewhere')];
  await rename(log, elsewhere);
  const { opening, lines } = begin(t, [`file:${folder}`], { memory });
  const gated = (await opening).log;
  const holder = await openFolder(folder);
  await lines.saw(/is open already, by process/);
  await t.throwsAsync(gated.position(), unavailable);
  await holder.close();
  await rename(log, join(folder, 'other'));
  await rename(elsewhere, log);
  await opened(gated);
  t.true(gated.reachable);
});

test('behind the gate › its history in another kind of log is left alone until a restart', async (t) => {
  const [server, folder] = [await esdbFor(t), await folderFor(t)];
  const logId = await identifyEsdb(server);
  server.kill();
  const { opening, lines } = begin(t, [server.url, `file:${folder}`], {
    memory: { logId, kind: 'embedded' },
  });
  const { log } = await opening;
  await server.restart();
  await lines.saw(/another kind of log \(restart this node to take it\)/);
  await t.throwsAsync(log.position(), unavailable);
  await log.close();
  const restarted = begin(t, [server.url, `file:${folder}`], { memory: { logId, kind: 'embedded' } });
  t.like((await restarted.opening).log, { kind: 'eventstoredb', reachable: true });
});

test('the gate closes while it waits: calls say so, watches end, and a log that comes late is closed', async (t) => {
  const folder = await folderFor(t);
  const { promise, resolve } = Promise.withResolvers<void>();
  const late = openFolder(folder);
  const gated = createGatedLog('embedded', async (signal) => {
    await promise;
    t.true(signal.aborted);
    return late;
  });
  const watched = watchThing(gated, new AbortController().signal);
  const closing = gated.close();
  resolve();
  await closing;
  t.is(await watched, undefined);
  await t.throwsAsync(gated.position(), { instanceOf: LogError, code: 'log_closed' });
  const again = await openFolder(folder);
  await again.close();
});

test('the gate of a log that cannot be reached closes while it waits', async (t) => {
  const memory = { logId: '0199aaaa-0000-7000-8000-000000000000', kind: 'redis' } as const;
  const { opening, lines } = begin(t, [`redis://127.0.0.1:${await closedPort()}`], { memory });
  const { log } = await opening;
  const watched = watchThing(log, new AbortController().signal);
  await lines.saw(/waiting for the event log/);
  await log.close();
  await log.close();
  t.is(await watched, undefined);
  await t.throwsAsync(log.append(stream, [someEvent()], 'none'), {
    instanceOf: LogError,
    code: 'log_closed',
  });
});

test('a watch behind the gate ends when it is given up', async (t) => {
  const memory = { logId: '0199aaaa-0000-7000-8000-000000000000', kind: 'redis' } as const;
  const { opening } = begin(t, [`redis://127.0.0.1:${await closedPort()}`], { memory });
  const { log } = await opening;
  const stop = new AbortController();
  const watched = watchThing(log, stop.signal);
  stop.abort();
  t.is(await watched, undefined);
});
