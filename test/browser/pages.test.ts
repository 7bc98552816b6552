import test, { type ExecutionContext } from 'ava';
import type { Browser, Page } from 'playwright-core';
import { type Hub, type HubOptions, openHub } from '../support/hub.ts';
import { request } from '../support/rest.ts';
import { jwtSecret, signToken } from '../support/token.ts';
import { inPage, launchChromium, pageFor } from './chromium.ts';

let browser: Browser | undefined;

test.before(async () => {
  browser = await launchChromium();
});

test.after.always(async () => {
  await browser?.close();
});

const hubFor = async (t: ExecutionContext, options: HubOptions = {}): Promise<Hub> => {
  const hub = await openHub(options);
  t.teardown(() => hub.close());
  return hub;
};

type Seen = {
  /** What the console says at level error, and what no script has caught: refusals by the page's policy too. */
  readonly faults: string[];
  /** Of requests to anywhere but the hub. */
  readonly foreign: string[];
};

const watch = (page: Page, { url }: Hub): Seen => {
  // GraphiQL is 3.5 MB of script, and other tests run beside this one.
  page.setDefaultTimeout(100_000);
  const seen: Seen = { faults: [], foreign: [] };
  page.on('console', (message) => {
    if (message.type() === 'error') seen.faults.push(message.text());
  });
  page.on('pageerror', (error) => seen.faults.push(error.message));
  page.on('request', (asked) => {
    if (!asked.url().startsWith(`${url}/`) && !asked.url().startsWith('data:'))
      seen.foreign.push(asked.url());
  });
  return seen;
};

/**
 * Puts text into one of GraphiQL's editors, as typing would. Which operation to run it finds out a moment later: those of
 * the tests have the name that the first one has.
 */
const write = (page: Page, editor: string, text: string): Promise<void> =>
  inPage(page, 'document.querySelector(args.editor + " .CodeMirror").CodeMirror.setValue(args.text);', {
    editor,
    text,
  });

const query = '.graphiql-query-editor';
const headers = '.graphiql-editor-tool .graphiql-editor:not(.hidden)';
const run = (page: Page): Promise<void> => page.click('.graphiql-execute-button');
const result = (page: Page, part: string): Promise<void> =>
  page.locator('.result-window', { hasText: part }).waitFor();

test.serial(
  'GraphiQL › asks for the schema, and runs a query and a subscription, with files of the hub alone',
  async (t) => {
    const page = await pageFor(t, browser);
    if (page === undefined) return;
    const hub = await hubFor(t);
    const seen = watch(page, hub);
    const introspected = page.waitForResponse(
      (response) => response.request().postData()?.includes('__schema') === true,
    );
    await page.goto(`${hub.url}/graphql`);
    t.is((await introspected).status(), 200);
    await page.waitForSelector('.graphiql-execute-button');
    await run(page);
    await result(page, '"services": []');

    await page.click('[aria-label="Show Documentation Explorer"]');
    await page.waitForSelector('.graphiql-doc-explorer >> text=Mutation');

    await write(page, query, 'subscription Services { messages(topic: "page.*") { topic payload } }');
    const begun = page.waitForResponse(
      (response) => response.headers()['content-type']?.startsWith('text/event-stream') === true,
    );
    await run(page);
    t.is((await begun).status(), 200);
    for (const payload of ['first', 'second']) {
      await request(hub.url, 'POST', '/events/page.a', { body: { payload } });
      await result(page, `"payload": "${payload}"`);
    }
    const ended = page.waitForEvent('requestfailed');
    await run(page);
    t.regex((await ended).postData() ?? '', /subscription/, 'stopping it ends its stream');
    t.deepEqual(seen, { faults: [], foreign: [] });
    t.deepEqual(hub.logged, []);
  },
);

test.serial(
  'GraphiQL › sends the token of its headers tab, and keeps it out of the browser’s storage',
  async (t) => {
    const page = await pageFor(t, browser);
    if (page === undefined) return;
    const hub = await hubFor(t, { jwtSecret });
    const { foreign } = watch(page, hub);
    await page.goto(`${hub.url}/graphql`);
    await page.waitForSelector('.graphiql-execute-button');
    await write(page, query, 'query Services { state(key: "none") { key } }');
    await run(page);
    await result(page, '"code": "unauthorized"');
    const token = signToken('ada', 'admin');
    await write(page, headers, JSON.stringify({ Authorization: `Bearer ${token}` }));
    await run(page);
    await result(page, '"state": null');
    await page.reload();
    await page.waitForSelector('.graphiql-execute-button');
    const kept = await inPage<string>(page, 'return JSON.stringify({ ...localStorage, ...sessionStorage });');
    t.true(kept.includes('state(key'), 'control: the query is kept');
    t.false(kept.includes(token));
    t.deepEqual(foreign, []);
  },
);

test.serial(
  'GraphiQL › without introspection asks for no schema, says so, and runs what is typed',
  async (t) => {
    const page = await pageFor(t, browser);
    if (page === undefined) return;
    const hub = await hubFor(t, { graphqlIntrospection: false });
    const seen = watch(page, hub);
    const asked: string[] = [];
    page.on('request', (sent) => asked.push(sent.postData() ?? ''));
    await page.goto(`${hub.url}/graphql`);
    await page.waitForSelector('#notice >> text=Introspection is turned off');
    await write(page, query, 'query Services { health { status } }');
    await run(page);
    await result(page, '"status": "ok"');
    t.deepEqual(
      asked.filter((body) => body.includes('__schema')),
      [],
    );
    t.deepEqual(seen, { faults: [], foreign: [] });
  },
);
