import test, { type ExecutionContext } from 'ava';
import type { Browser, Page } from 'playwright-core';
import { type Hub, openHub } from '../support/hub.ts';
import { request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { launchChromium, pageFor } from './chromium.ts';

let browser: Browser | undefined;
const open = await openHub();
const closed = await openHub({ jwtSecret });
const token = signToken('ann', 'admin');
const admin = { authorization: `Bearer ${token}` };

test.before(async () => {
  browser = await launchChromium();
  for (const [hub, headers] of [
    [open, {}],
    [closed, admin],
  ] as const) {
    const send = (method: string, path: string, body: unknown) =>
      request(hub.url, method, path, { headers, body });
    await send('PUT', '/state/app_config', { value: { theme: '<img src=x onerror=alert(1)>' } });
    await send('POST', '/services', { id: 'adder-1', name: 'adder', version: '1.0.0', reach: 'socket' });
    await send('PUT', '/subscriptions/billing', { topic: 'orders.*', from: 'start' });
    await send('POST', '/events/orders.created', { payload: { order: 17 } });
  }
});

test.after.always(async () => {
  await browser?.close();
  await open.close();
  await closed.close();
});

/** What a page must not do, as it happens: errors, messages of its policy, requests to other hosts. */
const faultsOf = (page: Page, hub: Hub): readonly string[] => {
  const faults: string[] = [];
  page.on('console', (message) => {
    // The browser tells of each answer that is a fault: the first question for a token is one.
    const isRefusal = message.text().includes('status of 401');
    if (['error', 'warning'].includes(message.type()) && !isRefusal) faults.push(message.text());
  });
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('request', (sent) => {
    const { protocol, host } = new URL(sent.url());
    if (protocol !== 'data:' && host !== new URL(hub.url).host) faults.push(sent.url());
  });
  return faults;
};

/** Opens the page, with the token where the hub asks for one, and waits until `text` stands in it. */
const show = async (
  t: ExecutionContext,
  hub: Hub,
  path: string,
  text: string,
): Promise<{ readonly page: Page; readonly faults: readonly string[] } | undefined> => {
  const page = await pageFor(t, browser);
  if (page === undefined) return undefined;
  const faults = faultsOf(page, hub);
  // A machine that does much else takes its time with a megabyte of script.
  page.setDefaultTimeout(90_000);
  const answer = await page.goto(hub.url + path, { waitUntil: 'commit' });
  t.is(answer?.status(), 200, 'the shell is public');
  t.notRegex(
    (await answer?.headerValue('content-security-policy')) ?? 'none',
    /unsafe|https?:|none$/,
    'a policy without exceptions',
  );
  if (hub === closed) {
    await page.waitForSelector('#sign-in:not([hidden])');
    t.false(((await page.textContent('body')) ?? '').includes('adder'), 'nothing is told without a token');
    await page.fill('#token', token);
    await page.click('#sign-in button');
  }
  await page.getByText(text).first().waitFor();
  return { page, faults };
};

for (const [hub, how] of [
  [open, 'without authentication'],
  [closed, 'with authentication'],
] as const) {
  test.serial(
    `the page of REST ${how} › loads${hub === closed ? ' and tries an operation out' : ''}, from this hub alone`,
    async (t) => {
      const shown = await show(t, hub, '/docs', 'NEXUS Integration Core');
      if (shown === undefined) return;
      const { page, faults } = shown;
      // Swagger UI takes seconds to draw an operation: once is enough, with a token.
      if (hub === open) {
        t.deepEqual(faults, []);
        return;
      }
      await page.click('#operations-tag-State button.expand-operation');
      await page.click('#operations-State-readState button.opblock-summary-control');
      await page.click('#operations-State-readState .try-out__btn');
      const answered = page.waitForResponse((response) => response.url().includes('/state/app_config'));
      await page.click('#operations-State-readState .execute');
      t.is((await answered).status(), 200);
      await page.getByText('onerror').first().waitFor();
      t.deepEqual(faults, []);
    },
  );

  test.serial(
    `the page of WebSocket, SSE and ZeroMQ ${how} › shows the frames, from this hub alone`,
    async (t) => {
      const shown = await show(t, hub, '/docs/async', 'A client sends');
      if (shown === undefined) return;
      t.true((await shown.page.locator('article').count()) >= 7);
      t.true((await shown.page.locator('details').count()) > 50);
      t.deepEqual(shown.faults, []);
    },
  );

  test.serial(`the dashboard ${how} › shows the hub as it is, from this hub alone`, async (t) => {
    const shown = await show(t, hub, '/', 'adder-1');
    if (shown === undefined) return;
    const { page, faults } = shown;
    await page.getByText('orders.*').first().waitFor();
    await page.fill('#prefix', 'app');
    await page.click('#state-form button');
    await page.click('#state-list button.link');
    await page.getByText('version 1').waitFor();
    t.is(await page.locator('#state-key img').count(), 0, 'a value is a text, never markup');
    t.regex((await page.textContent('#state-key pre')) ?? '', /<img src=x/);
    await page.locator('#live-state', { hasText: 'live' }).waitFor();
    const headers = hub === closed ? admin : {};
    await request(hub.url, 'POST', '/events/orders.shown', { headers, body: { payload: { order: 18 } } });
    await page.getByText('orders.shown').first().waitFor();
    await page.selectOption('#live-what', 'events');
    await page.locator('#live-state', { hasText: 'live' }).waitFor();
    t.deepEqual(faults, []);
  });
}

test.serial('the token › stays in the tab, and is forgotten when asked', async (t) => {
  const shown = await show(t, closed, '/', 'adder-1');
  if (shown === undefined) return;
  const { page } = shown;
  t.is(await page.evaluate('localStorage.length + document.cookie.length'), 0);
  t.false(page.url().includes(token));
  await page.click('#sign-out');
  await page.waitForSelector('#sign-in:not([hidden])');
  t.is(await page.evaluate('sessionStorage.length'), 0);
  await page.fill('#token', 'no token at all');
  await page.click('#sign-in button');
  await page.locator('#notice', { hasText: /./ }).waitFor();
  t.true(await page.isHidden('#main'));
});
