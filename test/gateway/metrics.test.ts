import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { askGraphql } from '../support/graphql.ts';
import { type Hub, openHub } from '../support/hub.ts';
import { request } from '../support/rest.ts';
import { skipped } from '../support/skip.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { openWs } from '../support/ws-client.ts';

const docs = readFileSync(join(import.meta.dirname, '../../docs/observability.md'), 'utf8');

let hub: Hub;
test.before(async () => {
  hub = await openHub();
});
test.after.always(() => hub.close());

const scrape = async (of: Pick<Hub, 'url'> = hub, headers: Record<string, string> = {}): Promise<string> => {
  const response = await fetch(`${of.url}/metrics`, { headers });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  return response.text();
};

/** The value of a series as the text writes it, `name{label="value"}`; undefined for one that is not there. */
const seriesValue = (text: string, series: string): number | undefined => {
  const line = text.split('\n').find((one) => one.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
};

/** Scrapes until `fits`; AVA's own timeout ends what never comes. */
const scrapeUntil = async (fits: (text: string) => boolean): Promise<string> => {
  for (;;) {
    const text = await scrape();
    if (fits(text)) return text;
  }
};

const labelsOf = (text: string, name: string): ReadonlySet<string> => {
  const labels = new Set<string>();
  for (const line of text.split('\n')) {
    const [, of, within = ''] = /^([a-z_]+?)(?:_bucket|_sum|_count)?\{(.*)\} /.exec(line) ?? [];
    if (of !== name && !line.startsWith(`${name}{`)) continue;
    for (const [, label = ''] of within.matchAll(/(\w+)="/g)) if (label !== 'le') labels.add(label);
  }
  return labels;
};

test('/metrics › tells what docs/observability.md has, with its type and labels, and nothing else', async (t) => {
  await request(hub.url, 'PUT', '/state/metrics%2Fdocs', { body: { value: 1 } });
  await request(hub.url, 'PUT', '/subscriptions/metrics-docs', { body: { topic: 'metrics.docs' } });
  await askGraphql(hub, '{ health { status } }');
  const client = await openWs(hub.url);
  await client.ask({ type: 'ping' });
  const text = await scrape();
  await client.close();
  const told = [...text.matchAll(/^# TYPE (nexus_\w+) (\w+)$/gm)].map(([, name, type]) => ({ name, type }));
  const rows = [...docs.matchAll(/^\| `(nexus_\w+)` \| (\w+) \| ([\w, ]*)\|/gm)].map(
    ([, name = '', type, labels = '']) => ({
      name,
      type,
      labels: labels.split(',').map((one) => one.trim()),
    }),
  );
  const byName = (left: { name?: string | undefined }, right: { name?: string | undefined }) =>
    (left.name ?? '') < (right.name ?? '') ? -1 : 1;
  t.deepEqual(told.toSorted(byName), rows.map(({ name, type }) => ({ name, type })).toSorted(byName));
  for (const { name, labels } of rows) {
    for (const label of labelsOf(text, name)) t.true(labels.includes(label), `${name} has no ${label}`);
  }
  t.regex(text, /^nodejs_eventloop_lag_p99_seconds /m);
  t.regex(text, /^process_resident_memory_bytes /m);
});

test.serial(
  '/metrics › counts requests by template and class of the status, and never by path',
  async (t) => {
    const before = await scrape();
    const count = (text: string, method: string, status: string): number =>
      seriesValue(
        text,
        `nexus_http_requests_total{method="${method}",route="/state/{key}",status="${status}"}`,
      ) ?? 0;
    await request(hub.url, 'PUT', '/state/a%2Fsecret%2Fname', { body: { value: 1 } });
    await request(hub.url, 'GET', '/state/a%2Fsecret%2Fname');
    await request(hub.url, 'GET', '/state/another-secret');
    await request(hub.url, 'GET', '/nowhere/secret');
    await request(hub.url, 'PUT', '/state/secret', { body: { value: 1, wrong: 'shape' } });
    const text = await scrape();
    t.is(count(text, 'PUT', '2xx') - count(before, 'PUT', '2xx'), 1);
    t.is(count(text, 'GET', '2xx') - count(before, 'GET', '2xx'), 1);
    t.is(count(text, 'GET', '4xx') - count(before, 'GET', '4xx'), 1);
    t.is(count(text, 'PUT', '4xx') - count(before, 'PUT', '4xx'), 1);
    const [series] = ['nexus_http_request_duration_seconds_count{method="GET",route="/state/{key}"}'];
    t.is((seriesValue(text, series) ?? 0) - (seriesValue(before, series) ?? 0), 2);
    t.true((seriesValue(text, 'nexus_http_requests_total{method="GET",route="none",status="4xx"}') ?? 0) > 0);
    t.true((seriesValue(text, 'nexus_http_problems_total{code="not_found"}') ?? 0) >= 2);
    t.notRegex(text, /secret/);
  },
);

test('/metrics › needs log:read', async (t) => {
  const guarded = await openHub({ jwtSecret });
  t.teardown(guarded.close);
  const asked = (scope: string) =>
    request(guarded.url, 'GET', '/metrics', {
      headers: { authorization: `Bearer ${signToken('ada', scope)}` },
    });
  t.is((await request(guarded.url, 'GET', '/metrics')).status, 401);
  t.like(await asked('services:read state:read:*'), { status: 403, body: { scope: 'log:read' } });
  const text = await scrape(guarded, { authorization: `Bearer ${signToken('ada', 'log:read')}` });
  t.is(seriesValue(text, 'nexus_http_problems_total{code="forbidden"}'), 1);
  t.is(seriesValue(text, 'nexus_http_problems_total{code="unauthorized"}'), 1);
});

test('/metrics › tells of sockets, frames and GraphQL operations by type', async (t) => {
  const before = await scrape();
  const grown = (text: string, series: string) =>
    (seriesValue(text, series) ?? 0) - (seriesValue(before, series) ?? 0);
  const client = await openWs(hub.url);
  await client.ask({ type: 'ping' });
  await client.ask({ type: 'watch', key: 'metrics/frames' });
  await client.ask({ type: 'publish', topic: 'metrics.frames', payload: 1 });
  client.send({ type: 'no such frame' });
  await client.waitForType('error');
  await askGraphql(hub, '{ health { status } }');
  await askGraphql(hub, '{ no such field }');
  const text = await scrape();
  t.true((seriesValue(text, 'nexus_websocket_connections{protocol="nexus.v1"}') ?? 0) >= 1);
  for (const type of ['ping', 'watch', 'publish', 'refused'])
    t.true(grown(text, `nexus_websocket_frames_received_total{type="${type}"}`) >= 1, type);
  t.is(grown(text, 'nexus_graphql_operations_total{type="query"}') >= 1, true);
  t.true(grown(text, 'nexus_graphql_operations_total{type="invalid"}') >= 1);
  t.true(grown(text, 'nexus_log_appends_total{outcome="written"}') >= 1);
  await client.close();
});

test('/metrics › counts the living state keys, in whatever order they come and go', async (t) => {
  const own = await openHub();
  t.teardown(own.close);
  const put = (key: string) => request(own.url, 'PUT', `/state/${key}`, { body: { value: key } });
  const keys = Array.from({ length: 30 }, (_, index) => `k${index}`);
  await Promise.all(keys.map(put));
  const counted = async (fits: (keys: number | undefined) => boolean): Promise<number | undefined> => {
    for (;;) {
      const value = seriesValue(await scrape(own), 'nexus_state_keys');
      if (fits(value)) return value;
    }
  };
  t.is(await counted((value) => value !== undefined), 30);
  await Promise.all([
    ...keys.slice(0, 10).map((key) => request(own.url, 'DELETE', `/state/${key}`)),
    put('k0-more'),
  ]);
  t.is(await counted((value) => value === 21), 21);
  await put('k3');
  await put('k3');
  t.is(await counted((value) => value === 22), 22);
});

test('/metrics › names 100 subscriptions and tells the rest together', async (t) => {
  const own = await openHub();
  t.teardown(own.close);
  const context = { subject: { id: 'local', scopes: ['admin'] }, correlationId: 'metrics' };
  const names = Array.from({ length: 103 }, (_, index) => `s${String(index).padStart(3, '0')}`);
  const made = await Promise.all(
    names.map((name) =>
      own.core.execute({ type: 'CreateSubscription', data: { name, topic: `t.${name}` } }, context),
    ),
  );
  t.true(made.every(({ ok }) => ok));
  await own.core.execute({ type: 'PublishMessage', data: { topic: 't.s000', payload: 1 } }, context);
  await own.core.pull('s000', { max: 1, waitMs: 5_000 }, context);
  let text = await scrape(own);
  while (!text.includes('{subscription="*"}')) text = await scrape(own);
  t.is([...text.matchAll(/^nexus_subscription_in_flight\{/gm)].length, 101);
  t.is([...text.matchAll(/^nexus_subscription_lag_events\{/gm)].length, 100);
  t.is(seriesValue(text, 'nexus_subscription_in_flight{subscription="s000"}'), 1);
  t.is(seriesValue(text, 'nexus_subscription_lag_events{subscription="s000"}'), 1);
  t.is(seriesValue(text, 'nexus_subscription_deliveries_total{attempt="first"}'), 1);
});

/** Runs promtool on a text; undefined where this machine has none. */
const promtool = (t: ExecutionContext, args: readonly string[], input: string) => {
  try {
    execFileSync('promtool', ['--version'], { stdio: 'ignore' });
  } catch {
    skipped(t, t.title, 'promtool is not installed (apt-get install prometheus)');
    return undefined;
  }
  return spawnSync('promtool', args, { input, encoding: 'utf8' });
};

test('/metrics › promtool finds nothing to say of it', async (t) => {
  const text = await scrapeUntil((one) => one.includes('nexus_state_keys '));
  const judged = promtool(t, ['check', 'metrics'], text);
  if (judged === undefined) return;
  t.is(judged.status, 0, judged.stderr);
  t.is(judged.stdout + judged.stderr, '');
});

test('docs/observability.md › its configuration and alerts pass promtool, and name metrics that there are', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'nexus-promtool-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const block = (name: string): string => {
    const [, text = ''] = docs.split(`# ${name}\n`);
    return text.slice(0, text.indexOf('```'));
  };
  const rules = block('nexus.rules.yml');
  const known = new Set([...(await scrape()).matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name));
  const named = [...rules.matchAll(/\b(?:nexus|nodejs)_\w+/g)].map(([name]) => name);
  t.true(named.length > 5);
  for (const name of named) t.true(known.has(name), name);
  for (const [kind, name, text] of [
    ['rules', 'nexus.rules.yml', rules],
    ['config', 'prometheus.yml', block('prometheus.yml')],
  ] as const) {
    const path = join(folder, name);
    writeFileSync(path, text);
    const judged = promtool(t, ['check', kind, ...(kind === 'config' ? ['--syntax-only'] : []), path], '');
    if (judged === undefined) return;
    t.is(judged.status, 0, judged.stdout + judged.stderr);
  }
});
