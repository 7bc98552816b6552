import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { childFiles } from '../../src/plugin/sandbox/process/files.ts';
import { encodeFrame } from '../../src/plugin/sandbox/process/framing.ts';
import { bubblewrap, launchOf, spawnLaunch } from '../../src/plugin/sandbox/process/launch.ts';
import { openProcess } from '../../src/plugin/sandbox/process/open.ts';
import type { SandboxProcess } from '../../src/plugin/sandbox/process.ts';
import { skipped, skippedUnasked } from '../support/skip.ts';
import { until } from '../support/until.ts';
import { createHost, logger, open, program } from './sandbox-support.ts';

/** A child that is no child of ours: what it writes is all that it does. */
const rawChild = async (t: ExecutionContext, frames: string): Promise<SandboxProcess> => {
  const folder = mkdtempSync(join(tmpdir(), 'nexus-raw-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const child = join(folder, 'child.mjs');
  const up = encodeFrame({ type: 'up' }, '').toString('base64');
  writeFileSync(
    child,
    `import { Socket } from 'node:net';
    const socket = new Socket({ fd: 3 });
    const frame = (head, body = '') => { const text = Buffer.from((typeof head === 'string' ? head : JSON.stringify(head)) + '\\n' + body); const size = Buffer.alloc(4); size.writeUInt32BE(text.length); return Buffer.concat([size, text]); };
    const send = (head, body) => socket.write(frame(head, body));
    socket.write(Buffer.from('${up}', 'base64'));
    let loading = false;
    socket.on('data', (piece) => {
      if (loading || !piece.includes('"type":"load"')) return;
      loading = true;
      ${frames}
    });`,
  );
  const files = await childFiles();
  return openProcess({ isolation: 'process', jitless: false, logger }, { ...files, child });
};

test.serial('a child › that forges ends, and does no more than its plugin may', async (t) => {
  const load = "send({ type: 'loaded', guest: 1, hooks: [], resolvers: [] });";
  const cases: readonly [frames: string, reason: RegExp][] = [
    [
      'const size = Buffer.alloc(4); size.writeUInt32BE(0x7fffffff); socket.write(size);',
      /message of 2147483647 bytes/,
    ],
    ['send(\'{"type":\');', /not JSON/],
    ["send({ type: 'toString' });", /no child says/],
    ["send({ type: 'wish', guest: 'x', id: 1, operation: 'state.get' }, '{}');", /no child says/],
    ["send({ type: 'log', guest: 1, level: '__proto__' }, '{}');", /no child says/],
    ["send({ type: 'wish', guest: 2, id: 1, operation: 'state.get' }, '{}');", /does not hold/],
    [`${load} send({ type: 'answer', guest: 1, id: 7 }, '1');`, /nobody has made/],
    [`${load} send({ type: 'stopped', guest: 1 });`, /nobody had stopped/],
    [`${load} ${load}`, /twice/],
    [
      `${load} for (let i = 0; i < 20_000; i++) send({ type: 'log', guest: 1, level: 'info' }, '{"message":"x"}');`,
      /logs more/,
    ],
  ];
  const host = createHost();
  const exits = await Promise.all(
    cases.map(async ([frames, reason]) => {
      const process = await rawChild(t, frames);
      void process.load(program('forger', ''), host);
      return { exit: await process.exited, reason };
    }),
  );
  for (const { exit, reason } of exits) {
    t.is(exit.cause, 'crash');
    t.regex(exit.reason, reason);
  }
  t.deepEqual(host.wishes, []);
});

test.serial('a child › that does not answer is dead, and what it says badly is refused', async (t) => {
  const load = "send({ type: 'loaded', guest: 1, hooks: [], resolvers: [] });";
  const host = createHost();
  const hanging = await rawChild(t, `${load} for (;;);`);
  await hanging.load(program('hangs', ''), createHost());
  t.like(await hanging.exited, { cause: 'hang', running: ['hangs'] });
  const polite = await rawChild(
    t,
    `${load} send({ type: 'wish', guest: 1, id: 1, operation: 'state.get' }, '{"__proto__":{}}'); send({ type: 'wish', guest: 1, id: 2, operation: 'state.get' }, 'x');
      socket.on('data', (piece) => { if (piece.includes('bad_json')) send({ type: 'log', guest: 1, level: 'info' }, JSON.stringify({ message: 'refused', fields: {} })); });`,
  );
  await polite.load(program('polite', ''), host);
  await until(() => host.lines.length > 0);
  t.deepEqual(host.wishes, []);
  polite.kill('enough');
  t.like(await polite.exited, { cause: 'closed', reason: 'enough' });
});

const attempts = (port: number) => `
  import { createConnection } from 'node:net';
  import { readFileSync, writeFileSync, writeSync } from 'node:fs';
  const tried = async (run) => { try { return ['done', await run()]; } catch (error) { return ['refused', error.code]; } };
  const connect = () => new Promise((resolve, reject) => createConnection(${port}, '127.0.0.1', resolve).on('error', reject));
  const found = {
    network: (await tried(connect))[0],
    passwd: (await tried(() => readFileSync('/etc/passwd', 'utf8').length))[0],
    home: (await tried(() => readFileSync(process.argv[2] + '/package.json', 'utf8').length))[0],
    write: (await tried(() => writeFileSync('left-behind', 'x')))[0],
    parent: (await tried(() => process.kill(Number(process.argv[3]), 0)))[0],
    spawn: (await tried(async () => (await import('node:child_process')).execFileSync('/bin/sh', ['-c', 'true'])))[0],
    environment: Object.keys(process.env).filter((name) => name !== 'PWD'),
    uid: process.getuid(),
  };
  writeSync(1, JSON.stringify(found));
  process.exit(0);`;

const found = async (t: ExecutionContext, isolation: 'process' | 'bubblewrap', permissions: boolean) => {
  const files = await childFiles();
  const folder = mkdtempSync(join(tmpdir(), 'nexus-walls-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const child = join(folder, 'child.mjs');
  writeFileSync(child, attempts(port));
  const empty = join(folder, 'empty');
  mkdirSync(empty);
  const launch = await launchOf(isolation, { ...files, folder, child, empty }, false);
  // The walls one by one: bubblewrap has to hold when Node's permissions are gone.
  const args = launch.args.filter((flag) => permissions || !/^--(?:permission|allow-)/.test(flag));
  const running = spawnLaunch({ ...launch, args }, [child, process.cwd(), `${process.pid}`]);
  const said = running.stdout === null ? '' : await text(running.stdout);
  const complaint = running.stderr === null ? '' : await text(running.stderr);
  return said === '' ? complaint : JSON.parse(said);
};

test('walls › of Node’s permissions keep files and processes from the child', async (t) => {
  t.like(await found(t, 'process', true), {
    passwd: 'refused',
    home: 'refused',
    write: 'refused',
    spawn: 'refused',
    environment: [],
  });
});

test('walls › of bubblewrap keep the network, files and other processes from it, with no permission of Node’s', async (t) => {
  const works = await bubblewrap(await childFiles());
  if (!works.works) {
    // Where the system lets nobody make namespaces there is nothing to install.
    const skip = existsSync('/usr/bin/bwrap') ? skippedUnasked : skipped;
    return skip(t, t.title, `bubblewrap: ${works.reason}`);
  }
  t.like(await found(t, 'bubblewrap', false), {
    network: 'refused',
    passwd: 'refused',
    home: 'refused',
    write: 'refused',
    parent: 'refused',
    spawn: 'refused',
    environment: [],
    uid: 65_534,
  });
  const opened = await open();
  t.is(opened.isolation, 'bubblewrap');
  await opened.close(0);
});
