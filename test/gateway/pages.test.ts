import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import test from 'ava';
import { pageFiles } from '../../src/gateway/pages/table.ts';
import { openHub } from '../support/hub.ts';
import { jwtSecret } from '../support/token.ts';
import { call } from './client.ts';

const hub = await openHub({ jwtSecret });
test.after.always(() => hub.close());

const require = createRequire(import.meta.url);
const html = { accept: 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8' };
const get = (path: string, headers: Readonly<Record<string, string>> = {}) =>
  call(hub.url, 'GET', path, { headers });

test('a file of a page › is the package’s own, public, and kept for ever under the digest of its content', async (t) => {
  const own = readFileSync(
    join(dirname(require.resolve('react/package.json')), 'umd/react.production.min.js'),
  );
  const page = await get('/graphql', html);
  const [, url = ''] = /src="(\/pages\/react\.js\?v=[\w-]{22})"/.exec(page.text) ?? [];
  const lasting = await get(url);
  t.is(lasting.status, 200);
  t.is(lasting.text, own.toString());
  t.is(lasting.headers['content-type'], 'text/javascript; charset=utf-8');
  t.is(lasting.headers['cache-control'], 'public, max-age=31536000, immutable');
  for (const path of ['/pages/react.js', '/pages/react.js?v=other', `${url}&x=1`]) {
    const answer = await get(path);
    t.is(answer.headers['cache-control'], 'no-cache', path);
    t.is(answer.headers.etag, lasting.headers.etag);
  }
});

test('every file of the table › is there, and answers HEAD and a known ETag without its content', async (t) => {
  for (const path of Object.keys(pageFiles)) {
    const whole = await get(path);
    t.is(whole.status, 200, path);
    t.true(whole.text.length > 0, path);
    const head = await call(hub.url, 'HEAD', path);
    t.is(head.status, 200, path);
    t.is(head.text, '');
    t.is(head.headers['content-length'], String(Buffer.byteLength(whole.text)));
    const known = await get(path, { 'if-none-match': `"other", ${whole.headers.etag}` });
    t.is(known.status, 304, path);
    t.is(known.text, '');
  }
});

test('only the paths of the table › are public, and only to read', async (t) => {
  const paths = [
    '/pages',
    '/pages/',
    '/pages/react.js/',
    '/pages/React.js',
    '/pages/../package.json',
    '/pages/%2e%2e/package.json',
    '/pages/constructor',
    '/pages//react.js',
    '/graphql/',
    '/graphql?',
    '/graphql?query={health{status}}',
  ];
  for (const path of paths) t.is((await get(path, html)).status, 401, path);
  for (const method of ['POST', 'PUT', 'DELETE']) {
    t.is((await call(hub.url, method, '/pages/react.js', { headers: html })).status, 401, method);
    t.is((await call(hub.url, method, '/graphql', { headers: html })).status, 401, method);
  }
  t.is((await get('/graphql')).status, 401, 'an operation by any other Accept needs a token');
  t.is((await get('/graphql', { accept: 'application/json' })).status, 401);
});

test('the page of GraphiQL › loads from this hub alone, with no script in the page', async (t) => {
  const page = await get('/graphql', html);
  t.is(page.status, 200);
  t.is(page.headers['content-type'], 'text/html; charset=utf-8');
  t.regex(page.headers.vary ?? '', /accept/i);
  const policy = page.headers['content-security-policy'] ?? '';
  t.regex(policy, /default-src 'none'/);
  t.regex(policy, /script-src 'self';/);
  t.regex(policy, /frame-ancestors 'none'/);
  t.notRegex(policy, /https?:|unsafe-eval|\*/);
  const loaded = [...page.text.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, url = '']) => url);
  t.true(loaded.length >= 6);
  t.deepEqual(
    loaded.filter((url) => url !== 'data:,' && !url.startsWith('/pages/')),
    [],
  );
  t.notRegex(page.text, /<script>|<style|onload=|javascript:/);
  t.is((await call(hub.url, 'HEAD', '/graphql', { headers: html })).status, 200);
  t.is((await get('/graphql', { ...html, 'if-none-match': page.headers.etag ?? '' })).status, 304);
  t.deepEqual(hub.logged, []);
});
