import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { problem } from '../../src/errors.ts';
import { createRequestLog, maxLinesPerSec } from '../../src/gateway/request-log.ts';
import { startHubProcess } from '../support/hub-process.ts';
import { request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { refusedWs } from '../support/ws-client.ts';

type Line = { readonly level: string; readonly msg: string } & Readonly<Record<string, unknown>>;

const facts = { requestId: 'r', method: 'GET', route: '/log', status: 403 };
const forbidden = problem('forbidden', 'no');

const collected = () => {
  const lines: Line[] = [];
  const at = (level: string) => (told: object, msg: string) => void lines.push({ level, msg, ...told });
  return { lines, logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } };
};

test('a flood of refusals › makes some lines a second, and one that says how many were left out', (t) => {
  const { lines, logger } = collected();
  let nowMs = 1_000;
  const log = createRequestLog('info', logger, () => nowMs);
  for (let count = 0; count < 1_000; count++) log.tell(facts, forbidden);
  t.is(lines.length, maxLinesPerSec);
  nowMs = 2_000;
  log.tell(facts, forbidden);
  t.deepEqual(lines.slice(maxLinesPerSec), [
    {
      level: 'info',
      msg: 'requests that were refused or failed are not told',
      requests: 1_000 - maxLinesPerSec,
    },
    { level: 'info', msg: 'a request was refused', ...facts, code: 'forbidden' },
  ]);
});

test('the level of a line › is that of what came of the request', (t) => {
  const { lines, logger } = collected();
  const log = createRequestLog('debug', logger, () => 1_000);
  for (const status of [200, 404, 409, 401, 403, 429, 500, 503]) log.tell({ ...facts, status }, undefined);
  t.deepEqual(
    lines.map(({ status, level }) => [status, level]),
    [
      [200, 'debug'],
      [404, 'debug'],
      [409, 'debug'],
      [401, 'info'],
      [403, 'info'],
      [429, 'info'],
      [500, 'warn'],
      [503, 'info'],
    ],
  );
  const quiet = collected();
  const atInfo = createRequestLog('info', quiet.logger, () => 1_000);
  for (const status of [200, 404, 409]) atInfo.tell({ ...facts, status }, undefined);
  t.deepEqual(quiet.lines, []);
});

test('a hub › tells a refused request by its ids, route and subject, and nothing of its path or token', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'nexus-request-log-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const hub = await startHubProcess(folder, ['--log-level', 'debug'], { NEXUS_JWT_SECRET: jwtSecret });
  t.teardown(() => hub.kill('SIGKILL'));
  const token = signToken('ada', 'services:read');
  const authorization = `Bearer ${token}`;
  const headers = { authorization, 'x-request-id': 'request-1', 'x-correlation-id': 'correlation-1' };
  t.is((await request(hub.url, 'GET', '/state/hidden-key', { headers })).status, 403);
  t.is(
    (await request(hub.url, 'GET', '/services', { headers: { ...headers, 'x-request-id': 'request-2' } }))
      .status,
    200,
  );
  t.is(
    (await request(hub.url, 'GET', '/log', { headers: { authorization: `${authorization}x` } })).status,
    401,
  );
  t.is((await refusedWs(hub.url)).status, 401);
  await hub.kill('SIGTERM');
  const lines = hub
    .stderr()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line);
  const of = (requestId: string) => lines.find((line) => line.requestId === requestId);
  t.like(of('request-1'), {
    level: 'info',
    msg: 'a request was refused',
    correlationId: 'correlation-1',
    method: 'GET',
    route: '/state/{key}',
    status: 403,
    code: 'forbidden',
    subject: 'ada',
  });
  t.like(of('request-2'), { level: 'debug', route: '/services', status: 200, subject: 'ada' });
  t.true(
    lines.some(
      ({ route, status, address }) => route === 'upgrade' && status === 401 && address === '127.0.0.1',
    ),
  );
  t.notRegex(hub.stderr(), /hidden/);
  for (const part of token.split('.').slice(1)) t.false(hub.stderr().includes(part));
});
